"""What the documents say is so: commands, sidecars, configs, keys, exit codes, steps, records, links, and what the demo prints."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from dropbox_import import strict_yaml
from dropbox_import.cli.entry import COMMANDS, cli
from dropbox_import.cli.exits import MEANING, Exit
from dropbox_import.daemon.outage import QUICK_LOOKS
from dropbox_import.errors import ConfigError, SidecarInvalid
from dropbox_import.settings import Settings, load_settings
from dropbox_import.settings.example import example_text
from dropbox_import.settings.schema import SHAPE as CONFIG
from dropbox_import.sidecar import parse_sidecar
from dropbox_import.sidecar.schema import SHAPE
from dropbox_import.spool import words
from dropbox_import.spool.steps import Do
from tests.house.source import PACKAGE, ROOT, modules

README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = (README, ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md")))
_FENCE = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```[ ]*$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`(dropbox-import [^`\n]+)`")
_LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")
_ROW = re.compile(r"^\|(.+)\|$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block; `kind` is all that stands behind its backticks."""

    page: Path
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        indent, kind, body = found.groups()
        lines = [line.removeprefix(indent) for line in body.splitlines(keepends=True)]
        yield Block(page, text.count("\n", 0, found.start()) + 1, kind.strip(), "".join(lines))


BLOCKS = tuple(block for page in PAGES for block in blocks_of(page))


def of_kind(*kinds: str) -> list[Block]:
    return [block for block in BLOCKS if block.kind in kinds]


def only(kind: str) -> Block:
    (block,) = of_kind(kind)
    return block


def rows(page: Path, *heads: str) -> list[list[str]]:
    """The cells of the one table of that page whose head begins with these."""
    text = page.read_text(encoding="utf-8")
    tables: list[list[list[str]]] = []
    end = -2
    for found in _ROW.finditer(text):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", found.group(1))]
        if found.start() != end + 1:
            tables.append([])
        tables[-1].append(cells)
        end = found.end()
    (table,) = [table for table in tables if table[0][: len(heads)] == list(heads)]
    return table[2:]


def word(cell: str) -> str:
    """The one word in backticks of a cell, or ""."""
    found = re.fullmatch(r"`([^`]+)`", cell)
    return found.group(1) if found else ""


# --- commands ------------------------------------------------------------------------


def shell_lines(block: Block) -> list[list[str]]:
    lines = block.text.replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [[one for one in line if not re.match(r"[A-Z_]+=", one)] if line else [] for line in words]


def commands() -> list[tuple[str, list[str]]]:
    found = [(str(block), line[1:]) for block in of_kind("sh") for line in shell_lines(block) if line[:1] == ["dropbox-import"]]
    for page in PAGES:
        found += [(page.name, shlex.split(text)[1:]) for text in _INLINE.findall(page.read_text(encoding="utf-8"))]
    return found


@pytest.mark.parametrize(("where", "words"), commands(), ids=lambda value: " ".join(value) if isinstance(value, list) else value)
def test_each_command_that_is_shown_can_be_typed(where: str, words: list[str]) -> None:
    with click.Context(cli, info_name="dropbox-import") as context:
        name, command, rest = cli.resolve_command(context, words)
        assert command is not None, where
        if rest:
            command.make_context(name, rest, parent=context)


def test_each_command_is_shown_with_its_options_somewhere() -> None:
    shown = {words[0] for _, words in commands()}
    assert shown == set(COMMANDS)


def test_each_make_target_that_is_shown_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    shown = {line[1] for block in of_kind("sh") for line in shell_lines(block) if line[:1] == ["make"]}
    assert shown >= {"demo", "test"}
    assert shown <= targets


def test_the_ways_to_install_name_what_the_product_needs() -> None:
    project = strict_lines((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (conda,) = [line for block in of_kind("sh") for line in shell_lines(block) if line[:2] == ["conda", "create"]]
    named = {re.split(r"[=<>]", one)[0] for one in conda}
    assert named >= project
    assert "zeroc-ice=3.6" in conda
    installs = [block for block in of_kind("sh") if block.page == README and re.match(r"uv |pipx |conda |python3", block.text)]
    text = README.read_text(encoding="utf-8")
    assert len(installs) == 4
    for block in installs:
        line = text.splitlines()[block.line - 2]
        assert "not run here" in line, line


def strict_lines(pyproject: str) -> set[str]:
    body = pyproject.split("\ndependencies = [", 1)[1].split("]", 1)[0]
    return {re.split(r"[=<>]", one)[0] for one in re.findall(r'"([^"]+)"', body)}


# --- sidecars ------------------------------------------------------------------------


def parse(block: Block) -> Any:
    return parse_sidecar(block.text.encode(), "cells.json" if block.kind.startswith("json") else "cells.yaml")


@pytest.mark.parametrize("block", of_kind("yaml sidecar", "json sidecar"), ids=str)
def test_each_sidecar_that_is_shown_is_good(block: Block) -> None:
    assert parse(block).notices == ()


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.kind.startswith(("yaml", "json"))], ids=str)
def test_each_yaml_block_says_what_it_is(block: Block) -> None:
    assert block.kind.removeprefix("yaml ").removeprefix("json ").split()[0] in {"sidecar", "config", "result", "refused", "mistakes"}


def test_the_user_guide_shows_every_key_of_a_sidecar() -> None:
    shown: set[str] = set()
    for block in of_kind("yaml sidecar"):
        shown |= set(re.findall(r"([a-z_0-9]+):", block.text))
    for where, names in SHAPE.known.items():
        assert set(names) - {"text"} <= shown, where  # `text` is how a plain description is kept


def test_what_the_guide_calls_not_supported_yet_is_refused_so() -> None:
    block = only("yaml refused")
    with pytest.raises(SidecarInvalid) as refused:
        parse(block)
    said = [str(mistake) for mistake in refused.value.mistakes if "not supported yet" in str(mistake)]
    assert len(said) == len(refused.value.mistakes)
    for where, later in SHAPE.later.items():
        for key in later:
            assert any(key in line for line in said) or (where, key) == ("target", "plate"), key


def test_the_mistakes_that_are_shown_are_those_that_are_told() -> None:
    (block,) = [block for block in BLOCKS if block.kind.startswith("yaml mistakes")]
    with pytest.raises(SidecarInvalid) as refused:
        parse_sidecar(block.text.encode(), block.kind.split()[-1])
    assert [str(mistake) for mistake in refused.value.mistakes] == only("text mistakes").text.splitlines()


# --- config --------------------------------------------------------------------------


def settings_of(text: str, folder: Path) -> Settings:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path)


@pytest.mark.parametrize("block", of_kind("yaml config"), ids=str)
def test_each_config_that_is_shown_loads(block: Block, tmp_path: Path) -> None:
    assert settings_of(block.text, tmp_path).boxes


def config_rows() -> dict[str, str]:
    return {word(cells[0]): word(cells[1]) for cells in rows(DOCS / "administrator-guide.md", "key", "default")}


WHO = ("to", "events")  # the same in several places: explained once


def test_the_administrator_guide_has_every_key_of_the_config() -> None:
    places = {place for place, keys in CONFIG.known.items() if keys != WHO}
    keys = {f"{place}.{key}".lstrip(".") for place in places for key in CONFIG.known[place]}
    told_by_their_keys = (places | {"boxes"}) - {"notify.mail"}
    names = {key.replace("boxes.*", "boxes").replace("*", "NAME") for key in keys - told_by_their_keys}
    assert set(config_rows()) == names


@pytest.mark.parametrize(("key", "default"), [(key, text) for key, text in config_rows().items() if text], ids=str)
def test_each_default_that_is_listed_is_the_default(key: str, default: str, tmp_path: Path) -> None:
    box: dict[str, Any] = {"path": (tmp_path / "box").as_posix()}
    written: dict[str, Any] = {"omero": {"host": "h", "user": "u"}, "state_dir": (tmp_path / "state").as_posix(), "boxes": [box]}
    written["notify"] = {"admin": "ops@example.org", "mail": {"host": "h"}}
    without = settings_of(flow(written), tmp_path)
    at: Any = written
    *above, last = key.split(".")
    for step in above:
        at = box if step == "boxes" else at.setdefault(step, {})
    at[last] = default
    assert settings_of(flow(written), tmp_path) == without


def test_the_quick_looks_are_those_of_the_daemon() -> None:
    *first, last = (f"{look:g}" for look in QUICK_LOOKS)
    for page in (DOCS / "administrator-guide.md", ARCHITECTURE, *DOCS.glob("decisions/0007*.md")):
        assert f"{', '.join(first)} and {last} seconds" in page.read_text(encoding="utf-8"), page


def flow(value: object) -> str:
    """Flow-style YAML in which texts stand as they are."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    return "[" + ", ".join(flow(item) for item in value) + "]" if isinstance(value, list) else str(value)


def test_the_mistakes_of_a_config_are_told_as_shown(tmp_path: Path) -> None:
    wrong = example_text().replace("port: 4064", "port: x").replace("quiet_period:", "quite_period:")
    with pytest.raises(ConfigError) as refused:
        settings_of(wrong, tmp_path)
    told = ""
    for one in refused.value.mistakes:
        told += f"PROBLEM  config.yaml:{one.line}:{one.column}: {one.sentence}\n" + (f"         -> {one.hint}\n" if one.hint else "")
    assert told == only("text check").text


@pytest.mark.parametrize("page", [README, DOCS / "administrator-guide.md"], ids=lambda page: page.name)
def test_the_exit_codes_are_those_of_the_program(page: Path) -> None:
    listed = [(cells[0], cells[1]) for cells in rows(page, "code", "meaning")]
    known = [(str(int(code)), meaning) for code, meaning in MEANING]
    assert listed == known if page == README else listed[:-1] == known
    assert page == README or listed[-1][0] == str(int(Exit.INTERRUPTED))


# --- architecture --------------------------------------------------------------------

ARCHITECTURE = DOCS / "architecture.md"


def test_the_step_table_has_every_step_with_its_letters() -> None:
    table = {word(cells[1]): cells[0] for cells in rows(ARCHITECTURE, "letters")}
    assert set(table) - {""} == {step.value for step in Do}
    source = (PACKAGE / "spool" / "steps.py").read_text(encoding="utf-8")
    lettered = re.findall(r'^    [A-Z_]+ = "([a-z-]+)"  # (.+)$', source, re.MULTILINE)
    assert len(lettered) > 15
    for step, comment in lettered:
        letters = re.findall(r"[A-Z]\d(?:-[A-Z]\d)?", comment)
        assert all(one in table[step] for one in letters), step


def recorded() -> set[str]:
    """The kinds of record that any module writes or reads."""
    found = set(words.SAYS)
    for module in modules():
        for call in module.calls():
            name = module.full_name(call.func) or ""
            if name.endswith("Record") and call.args and isinstance(first := call.args[0], ast.Constant):
                found.add(str(first.value))
    fold = ast.parse((PACKAGE / "spool" / "fold.py").read_text(encoding="utf-8"))
    for node in ast.walk(fold):
        if isinstance(node, ast.MatchValue) and isinstance(node.value, ast.Constant):
            found.add(str(node.value.value))
    return found


def test_the_table_of_records_has_every_kind() -> None:
    table = {word(cells[0]): cells[1] for cells in rows(ARCHITECTURE, "record")}
    assert set(table) == recorded()
    promised = (PACKAGE / "spool" / "fold.py").read_text(encoding="utf-8").split("Intents (", 1)[1].split("):", 1)[1].split(".", 1)[0]
    assert {kind for kind, sort in table.items() if sort == "intent"} == {one.strip() for one in promised.split(",")}


def test_the_step_table_names_only_records_that_exist() -> None:
    named = {kind for cells in rows(ARCHITECTURE, "letters") for kind in re.findall(r"`([a-z-]+)`", cells[4])}
    assert named <= recorded()


def test_the_table_of_rooms_has_every_package() -> None:
    listed = {name for cells in rows(ARCHITECTURE, "room") for name in re.findall(r"`([a-z_]+)/`", cells[0])}
    assert listed == {path.parent.name for path in PACKAGE.glob("*/__init__.py")}


# --- pages ---------------------------------------------------------------------------


def test_the_first_line_says_what_this_is_and_is_not() -> None:
    first = README.read_text(encoding="utf-8").splitlines()[0]
    assert "not the Dropbox service" in first
    assert "not OMERO.dropbox" in first


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_each_link_between_documents_leads_somewhere(page: Path) -> None:
    for link in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_document_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    todo = [README]
    while todo:
        page = todo.pop()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        links = [link.partition("#")[0] for link in _LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
        todo += [(page.parent / link).resolve() for link in links if link]
    assert set(PAGES) <= seen


# --- what a run prints ---------------------------------------------------------------


def plain(line: str) -> str:
    """A line without what differs from run to run: ids, times, numbers, checksums, spacing, quotes."""
    line = re.sub(r"\d{8}-\d{6}-[a-z2-7]{10}", "ID", line)
    line = re.sub(r"demo-[0-9a-f]{8}\b", "demo-X", line)
    line = re.sub(r"\b[0-9a-f]{40}\b", "SHA1", line)
    line = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z?", "TIME", line)
    return " ".join(re.sub(r"\b\d+\b", "#", line).replace("'", "").split())


def missing(shown: Block, printed: str) -> list[str]:
    known = {plain(line) for line in printed.splitlines()}
    return [line for line in shown.text.splitlines() if line.strip() and plain(line) not in known]


@pytest.mark.slow
def test_what_the_documents_show_is_what_a_run_of_the_demo_gives(tmp_path: Path) -> None:
    kept = tmp_path / "demo"
    command = [sys.executable, "-m", "dropbox_import", "demo", "--keep", str(kept)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=110, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert missing(only("text demo"), done.stdout) == []
    filed = kept / "box"
    for name in ("typo", "run7"):
        (reason,) = filed.glob(f"failed/*/*/{name}__*/REASON.txt")
        told = [plain(line) for line in reason.read_text(encoding="utf-8").splitlines()]
        assert [plain(line) for line in only(f"text reason {name}").text.splitlines()] == told
    (hela,) = filed.glob("done/*/*/hela__*")
    assert missing(only("yaml result"), (hela / "result.yaml").read_text(encoding="utf-8")) == []
    listed = {line.split()[0].rstrip("/") for line in only("text filed").text.splitlines()[1:]}
    assert {name.replace("cells", "hela") for name in listed} == {path.name for path in hela.iterdir()}
    assert missing(only("text log"), (kept / "daemon.log").read_text(encoding="utf-8")) == []
    said = strict_yaml.load((hela / "result.yaml").read_bytes(), "result.yaml").root
    assert isinstance(said, strict_yaml.Mapping)


def test_the_count_of_known_and_assumed_behaviours_can_be_printed() -> None:
    (line,) = [line for block in of_kind("sh") for line in shell_lines(block) if line[:2] == ["python", "-W"]]
    done = subprocess.run([sys.executable, *line[1:]], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert re.search(r"'recorded': \d+", done.stdout), done.stderr
