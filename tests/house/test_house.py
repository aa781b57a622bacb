"""The rules of the house hold in the product, and each rule can fail."""

from __future__ import annotations

import tomllib

import pytest

from tests.house import rules
from tests.house.source import PACKAGE, ROOT, Module, modules


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_the_product_keeps_the_rule(rule: rules.Rule) -> None:
    breaches = [str(found) for module in modules() for found in rule(module)]
    assert not breaches, "\n" + "\n".join(breaches)


def breaches(rule: rules.Rule, text: str, path: str = "daemon/x.py") -> int:
    return len(list(rule(Module(path, text))))


DISK_CHANGES = [
    "import os\nos.rename(a, b)",
    "import os as o\no.replace(a, b)",
    "from os import mkdir as make\nmake(a)",
    "import os\nos.open(a, os.O_RDONLY | os.O_CREAT)",
    "import os\nos.open(a, flags)",
    "import shutil\nshutil.move(a, b)",
    "from shutil import rmtree\nrmtree(a)",
    "import tempfile\ntempfile.mkdtemp()",
    "open(a, 'w')",
    "open(a, mode='ab')",
    "open(a, 'r+')",
    "open(a, mode)",
    "path.open('x')",
    "path.open(mode='wb')",
    "path.write_text('')",
    "(folder / 'x').write_bytes(b'')",
    "from pathlib import Path\nPath('x').mkdir()",
    "path.rename(other)",
    "path.replace(other)",
    "path.unlink()",
    "path.touch()",
    "path.rmdir()",
    "path.chmod(0o600)",
    "import pathlib\npathlib.Path.unlink(path)",
]
NO_DISK_CHANGES = [
    "import os\nos.open(a, os.O_RDONLY | os.O_NOFOLLOW)",
    "import os\nos.stat(a)",
    "import shutil\nshutil.which('x')",
    "open(a)",
    "open(a, 'rb')",
    "path.open()",
    "path.open('rb')",
    "path.read_text()",
    "text.replace('a', 'b')",
    "when.replace(tzinfo=None)",
    "import dataclasses\ndataclasses.replace(x, a=1)",
    "from dropbox_import.disk import files\nfiles.rename(a, b)",
    "from dropbox_import.disk.files import rename\nrename(a, b)",
    "journal.open('some text')",
    "book.touch(number)",
]


@pytest.mark.parametrize("text", DISK_CHANGES)
def test_a_change_of_the_disk_outside_its_home_is_found(text: str) -> None:
    assert breaches(rules.disk_changes, text) == 1
    assert breaches(rules.disk_changes, text, "disk/x.py") == 0
    assert breaches(rules.disk_changes, text, "standin/x.py") == 0


@pytest.mark.parametrize("text", NO_DISK_CHANGES)
def test_what_only_reads_is_let_through(text: str) -> None:
    assert breaches(rules.disk_changes, text) == 0


@pytest.mark.parametrize(
    "text",
    [
        "import time\ntime.time()",
        "from time import time\ntime()",
        "import time\nclock = time.monotonic",
        "import datetime\ndatetime.datetime.now()",
        "from datetime import datetime\ndatetime.now(tz)",
        "import random\nrandom.random()",
        "from secrets import token_hex\ntoken_hex()",
        "import uuid\nuuid.uuid4()",
        "import os\nos.urandom(4)",
    ],
)
def test_time_and_chance_outside_the_clock_are_found(text: str) -> None:
    assert breaches(rules.time_and_chance, text) == 1
    assert breaches(rules.time_and_chance, text, "clock.py") == 0


def test_time_that_is_given_is_let_through() -> None:
    text = "from datetime import datetime\nclock.now()\nself.time()\ndatetime.fromtimestamp(0)\nrandom = 3\nrandom + 1"
    assert breaches(rules.time_and_chance, text) == 0


@pytest.mark.parametrize(
    ("text", "home"),
    [
        ("import yaml", "strict_yaml.py"),
        ("from pydantic import BaseModel", "sidecar/x.py"),
        ("import omero.clients", "importer/x.py"),
        ("import omero_model_ImageI", "standin/x.py"),
        ("import IceImport", "importer/x.py"),
        ("import importlib\nimportlib.import_module('click')", "cli/x.py"),
    ],
)
def test_a_library_outside_its_home_is_found(text: str, home: str) -> None:
    assert breaches(rules.library_homes, text) == 1
    assert breaches(rules.library_homes, text, home) == 0


@pytest.mark.parametrize("text", ["import attrs", "from . import sibling", "import importlib\nimportlib.import_module(name)"])
def test_a_library_without_a_home_and_an_unreadable_import_are_found(text: str) -> None:
    assert breaches(rules.library_homes, text) == 1


@pytest.mark.parametrize("text", ["print('x')", "import sys\nsys.stdout.write('x')", "from sys import stdout\nstdout.write('x')"])
def test_printing_outside_the_command_line_is_found(text: str) -> None:
    assert breaches(rules.prints, text) == 1
    assert breaches(rules.prints, text, "cli/x.py") == 0


def test_a_long_file_is_found() -> None:
    assert breaches(rules.too_long, "x = 1\n" * rules.MOST_LINES) == 0
    assert breaches(rules.too_long, "x = 1\n" * (rules.MOST_LINES + 1)) == 1


def test_a_package_without_a_docstring_is_found() -> None:
    assert breaches(rules.undescribed, "x = 1", "daemon/__init__.py") == 1
    assert breaches(rules.undescribed, '"""Owns the boxes."""', "daemon/__init__.py") == 0


def test_every_library_of_the_product_has_a_home_and_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {name.split(">")[0].split("=")[0] for name in project["dependencies"]}
    comes_with = {"Ice": "zeroc-ice", "Glacier2": "zeroc-ice", "omero": "omero-py", "yaml": "pyyaml", "pydantic_core": "pydantic"}
    data = {"tzdata"}  # what zoneinfo reads on Windows; no code imports it
    assert {comes_with.get(name, name) for name in rules.HOMES} == declared - data


def test_the_example_config_that_is_installed_is_the_one_that_is_shown() -> None:
    shown, installed = ROOT / "config" / "example.yaml", PACKAGE / "settings" / "example.yaml"
    assert shown.read_bytes() == installed.read_bytes()
