"""The example config is the documentation of every key, and what `init` writes."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path

import pytest

from dropbox_import.settings import Box, Settings, WaitForFiles, Workers, example_text, load_settings, parse_settings, schema, schema_text
from dropbox_import.settings.model import Log, Omero, Retry
from dropbox_import.settings.schema import SHAPE

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "config" / "example.yaml"


def test_the_example_loads_and_shows_the_defaults() -> None:
    settings = load_settings(EXAMPLE)
    assert settings == Settings(
        omero=Omero("omero.example.org", "importer", password_file=Path("/etc/dropbox-import/omero-password")),
        state_dir=Path("/var/lib/dropbox-import"),
        boxes=(Box(Path("/srv/imports")),),
        instance=settings.instance,
    )
    assert settings.boxes[0].wait_for_files == WaitForFiles(3600.0, 86400.0)
    assert settings.workers == Workers()
    assert settings.retry == Retry()
    assert settings.log == Log()


def test_the_package_holds_the_same_example() -> None:
    assert example_text() == EXAMPLE.read_text(encoding="utf-8")


@pytest.mark.parametrize("place", list(SHAPE.known))
def test_the_example_names_every_key(place: str) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    missing = [key for key in SHAPE.known[place] if not re.search(rf"^\s*(?:# |- )?{key}:", text, re.MULTILINE)]
    assert missing == []


def test_what_is_commented_out_is_right_too() -> None:
    above, begin, notify = example_text().partition("\nnotify:")  # of which tests/unit/settings/test_notify_config.py judges
    text = re.sub(r"^(\s*)# (ca_file|group|instance):", r"\1\2:", above, flags=re.MULTILINE) + begin + notify
    settings = parse_settings(text.encode(), "c.yaml")
    assert settings.omero.ca_file == Path("/etc/dropbox-import/omero-ca.pem")
    assert (settings.omero.group, settings.instance) == ("system", "scope-room-1")


def test_init_puts_its_own_values_in_and_keeps_the_comments() -> None:
    values = {
        "host": "127.0.0.1",
        "port": 14064,
        "user": "root",
        "password_file": "/tmp/a b/pw",
        "state_dir": "/tmp/#1: x",
        "box": "/tmp/NO",
    }
    text = example_text(**values, owners=["ann", "00123"], min_free=0, level="debug")
    settings = parse_settings(text.encode(), "c.yaml")
    assert (settings.omero.host, settings.omero.port, settings.omero.user) == ("127.0.0.1", 14064, "root")
    assert settings.omero.password_file == Path("/tmp/a b/pw")
    assert settings.state_dir == Path("/tmp/#1: x")
    assert settings.boxes[0] == Box(Path("/tmp/NO"), ("ann", "00123"), min_free=0)
    assert settings.log.level == "debug"
    assert text.count("#") > 20
    assert len(text.splitlines()) == len(example_text().splitlines())


def test_an_unknown_value_for_the_example_is_a_bug_of_the_caller() -> None:
    with pytest.raises(KeyError):
        example_text(hots="x")


def test_the_committed_schema_is_the_generated_one() -> None:
    committed = resources.files("dropbox_import.settings").joinpath("config.schema.json").read_text(encoding="utf-8")
    assert committed == schema_text(), (
        "write it again: print dropbox_import.settings.schema_text() into dropbox_import/settings/config.schema.json"
    )


def test_the_schema_explains_every_key_and_knows_no_password() -> None:
    made = schema()
    assert all(one.get("description") for one in made["properties"].values())
    assert "password" not in made["$defs"]["OmeroPart"]["properties"]
    assert made["$defs"]["BoxPart"]["properties"]["defaults"]["properties"]["tags"]
    assert '"type": "null"' not in json.dumps(made)
