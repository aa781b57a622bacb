"""Set-up finds an interpreter by running it, and where it cannot go on it says in one sentence what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Unprivileged
from tests.house.source import ROOT

TOOLS = ["sh", "dirname", "cat", "cksum", "sed", "id", "env", "mv"]
SHIM = "#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n"
# Answers as an interpreter would: its version, no venv, no headers; the wheel is not there.
PYTHON = '#!/bin/sh\ncase "$2" in *version_info*) echo {version};; *) exit 1;; esac\n'

# Does at once what it is asked, and says so.
WILLING = """#!/bin/sh
case "$*" in
*version_info*) echo 3.11 ;;
"-m venv --clear "*) /bin/mkdir -p "$4/bin" && /bin/cp "$0" "$4/bin/python" ;;
-c* | *--where) ;;
*) echo "$*" ;;
esac
"""

Machine = Callable[..., list[str]]


@pytest.fixture
def machine(unprivileged: Unprivileged, request: pytest.FixtureRequest) -> Machine:
    """A function that makes a machine with these programs, sets up there as an ordinary user, and gives the exit code and what was said."""
    base = unprivileged.folder / request.node.name.replace("[", "-").replace("]", "")

    checkout, programs_folder = base / "checkout", base / "bin"

    def make(programs: dict[str, str]) -> None:
        for folder in ("tools", "requirements"):
            shutil.copytree(ROOT / folder, checkout / folder, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", checkout)
        programs_folder.mkdir()
        for tool in TOOLS:
            (programs_folder / tool).symlink_to(shutil.which(tool) or "")
        for name, text in programs.items():
            (programs_folder / name).write_text(text)
            (programs_folder / name).chmod(0o755)
        unprivileged.give(base)

    def set_up(programs: dict[str, str], **environment: str) -> list[str]:
        if not checkout.exists():
            make(programs)
        variables = {"PATH": str(programs_folder), "HOME": str(base)} | environment
        done = unprivileged.run(["env", "-i", *(f"{name}={value}" for name, value in variables.items()), "tools/setup"], cwd=checkout)
        return [str(done.returncode), *(done.stdout + done.stderr).splitlines()]

    return set_up


def python(version: str) -> str:
    return PYTHON.format(version=version)


def test_a_machine_with_only_a_newer_python_is_refused_in_one_sentence(machine: Machine) -> None:
    code, *said = machine({"python3": python("3.14"), "apt-get": "#!/bin/sh\n"})
    assert code == "1"
    assert len(said) == 1
    assert "Python 3.11, 3.12 or 3.13 is needed" in said[0] and "python3 is 3.14" in said[0] and "PYTHON=" in said[0]


def test_an_interpreter_that_is_there_but_does_not_run_is_passed_over(machine: Machine) -> None:
    code, *said = machine({"python3.11": SHIM, "python3.12": python("3.12"), "apt-get": "#!/bin/sh\n"})
    assert code == "1"
    assert len(said) == 1
    assert "python3.12-venv python3.12-dev" in said[0]


def test_missing_packages_are_named_all_at_once_with_the_command_to_type(machine: Machine) -> None:
    code, *said = machine({"python3.11": python("3.11"), "apt-get": "#!/bin/sh\n"})
    assert code == "1"
    assert "\n".join(said) == (
        "Set-up needs system packages that are not here; type this, then run the same command again:  "
        "sudo apt-get install -y python3.11-venv python3.11-dev gcc g++ libssl-dev libbz2-dev"
    )


def test_a_machine_without_python_gets_the_command_to_type(machine: Machine) -> None:
    code, *said = machine({"apt-get": "#!/bin/sh\n"})
    assert code == "1"
    assert len(said) == 1
    assert "sudo apt-get install -y python3 python3-venv python3-dev gcc" in said[0]


def test_a_named_interpreter_is_the_only_one_tried(machine: Machine) -> None:
    code, *said = machine({"python3.11": python("3.11")}, PYTHON="/nowhere/python3.12")
    assert code == "1"
    assert "\n".join(said) == (
        "Python 3.11, 3.12 or 3.13 is needed (/nowhere/python3.12 does not run): install one of them, or name one with "
        "PYTHON=/path/to/python3.12."
    )


def test_a_second_run_does_nothing_and_a_changed_project_is_only_installed_again(machine: Machine, unprivileged: Unprivileged) -> None:
    code, *said = machine({"python3.11": WILLING})
    assert code == "0"
    assert said[0] == "tools/install.py"
    assert machine({}) == ["0"]
    (project,) = unprivileged.folder.glob("test_a_second_run*/checkout/pyproject.toml")
    with project.open("a") as file:
        file.write("# changed\n")
    assert machine({}) == ["0", "tools/install.py --again"]
    assert machine({}) == ["0"]
    code, *said = machine({}, PYTHON=str(project.parents[1] / "bin" / "python3.11"))
    assert (code, said[0]) == ("0", "tools/install.py")


def test_the_cache_of_the_ice_extension_is_where_the_variable_says(unprivileged: Unprivileged) -> None:
    cache = unprivileged.folder / "cache"
    tool = shutil.copytree(ROOT / "tools", unprivileged.folder / "where" / "tools") / "build_ice.py"
    shutil.copytree(ROOT / "requirements", unprivileged.folder / "where" / "requirements")
    done = unprivileged.run([unprivileged.python, tool, "--where"], env={"DROPBOX_IMPORT_CACHE": str(cache)})
    assert done.returncode == 1
    folder = Path(done.stdout.strip())
    assert folder.is_relative_to(cache)
    folder.mkdir(parents=True)
    (folder / "zeroc_ice-3.6.5-any.whl").touch()
    done = unprivileged.run([unprivileged.python, tool, "--where"], env={"DROPBOX_IMPORT_CACHE": str(cache)})
    assert done.returncode == 0


def test_a_home_that_cannot_be_written_puts_the_cache_into_the_checkout(unprivileged: Unprivileged) -> None:
    place = unprivileged.folder / "closed-home"
    shutil.copytree(ROOT / "tools", place / "tools")
    shutil.copytree(ROOT / "requirements", place / "requirements")
    home = place / "home"
    home.mkdir(mode=0o555)
    done = unprivileged.run([unprivileged.python, place / "tools" / "build_ice.py", "--where"], env={"HOME": str(home)})
    assert Path(done.stdout.strip()).is_relative_to(place / ".cache")
