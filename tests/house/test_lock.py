"""What set-up installs is pinned: version, hash, and nothing that belongs to one machine."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.house.source import ROOT
from tools import lock

FILES = ["lock.txt", "ice.txt"]


def text(name: str) -> str:
    return (ROOT / "requirements" / name).read_text(encoding="utf-8")


def pinned(name: str) -> dict[str, str]:
    """The lines of each package by its name."""
    blocks = re.findall(r"(?m)^(?:[A-Za-z0-9].*\n)(?:[ \t]+.*\n)*", text(name))
    return {block.split("==")[0]: block for block in blocks}


@pytest.mark.parametrize("name", FILES)
def test_the_lock_names_no_registry_and_no_machine(name: str) -> None:
    assert "://" not in text(name)
    assert not re.search(r"(^|\s)(--?\w*(index|find|trusted)|file:|/|\./)", text(name), re.MULTILINE)


@pytest.mark.parametrize("name", FILES)
def test_every_locked_package_has_one_version_and_a_hash(name: str) -> None:
    for package, block in pinned(name).items():
        assert re.match(r"[\w.\[\]-]+==\S+( ; .+)? \\\n", block), package
        assert "--hash=sha256:" in block, package


def test_the_source_of_ice_is_pinned_by_its_one_hash() -> None:
    assert list(pinned("ice.txt")) == ["zeroc-ice"]
    assert text("ice.txt").count("--hash=") == 1
    assert "zeroc-ice" not in pinned("lock.txt")


def test_everything_that_the_project_asks_for_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    wanted = [*project["project"]["dependencies"], *groups["dev"], *groups["build"], *project["build-system"]["requires"]]
    locked = pinned("lock.txt") | pinned("ice.txt")
    assert {re.split(r"[<>=]", name)[0].lower() for name in wanted} <= set(locked)


def test_a_package_is_cut_out_of_the_lock_whole() -> None:
    rest, cut = lock.split("a==1 \\\n    --hash=x\nb==2 \\\n    --hash=y \\\n    --hash=z\nc==3\n", "b")
    assert (rest, cut) == ("a==1 \\\n    --hash=x\nc==3\n", "b==2 \\\n    --hash=y \\\n    --hash=z\n")
    with pytest.raises(ValueError, match="not in the lock"):
        lock.split("a==1\n", "b")
