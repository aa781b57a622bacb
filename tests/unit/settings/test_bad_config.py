"""What an administrator gets wrong is told all at once, with line, column and cure."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropbox_import.errors import ConfigError
from dropbox_import.settings import load_settings, parse_settings

OMERO = "omero: {host: o.uni.org, user: importer}\n"
STATE = "state_dir: /var/lib/x\n"
BOX = "boxes:\n  - path: /srv/a\n"

ONE_MISTAKE: list[tuple[str, str, int, int, str, str]] = [
    ("unknown key", OMERO + STATE + BOX + "workres: {}", 5, 1, 'workres: unknown key, did you mean "workers"?', ""),
    (
        "unknown key in omero",
        "omero: {hots: a, host: b, user: c}\n" + STATE + BOX,
        1,
        9,
        'omero.hots: unknown key, did you mean "host"?',
        "",
    ),
    ("unknown key in a box", OMERO + STATE + BOX + "    paht: /x", 5, 5, 'boxes.paht: unknown key, did you mean "path"?', ""),
    ("password", "omero: {host: a, user: b, password: secret}\n" + STATE + BOX, 1, 27, "a password never stands in the config", "0600"),
    ("address as host", "omero: {host: 'https://o.uni.org/', user: b}\n" + STATE + BOX, 1, 15, "is not a host name", "without https://"),
    ("host with port", "omero: {host: 'o.uni.org:4064', user: b}\n" + STATE + BOX, 1, 15, "holds a port", "port: 4064"),
    ("port", "omero: {host: a, user: b, port: 99999}\n" + STATE + BOX, 1, 33, "99999 is not between 1 and 65535", ""),
    ("password file", "omero: {host: a, user: b, password_file: pw}\n" + STATE + BOX, 1, 42, "pw is not an absolute path", "from the root"),
    (
        "both ways",
        "omero: {host: a, user: b, ca_file: /c, insecure: true}\n" + STATE + BOX,
        1,
        8,
        "insecure and ca_file",
        "remove insecure",
    ),
    ("no host", "omero: {user: b}\n" + STATE + BOX, 1, 8, "omero.host: is missing", "add host"),
    ("no omero", STATE + BOX, 1, 1, "omero: is missing", "add omero"),
    ("no state", OMERO + BOX, 1, 1, "state_dir: is missing", "/var/lib"),
    ("no boxes", OMERO + STATE, 1, 1, "boxes: is missing", "add boxes"),
    ("empty boxes", OMERO + STATE + "boxes: []", 3, 8, "boxes: the list is empty", ""),
    ("box without a path", OMERO + STATE + "boxes: [{owners: any}]", 3, 9, "boxes.path: is missing", ""),
    ("relative box", OMERO + STATE + "boxes: [{path: srv}]", 3, 16, "srv is not an absolute path", ""),
    ("home", OMERO + "state_dir: ~/state\n" + BOX, 2, 12, "is not an absolute path", "/home/jdoe"),
    ("address as a path", OMERO + "state_dir: smb://x/y\n" + BOX, 2, 12, "is an address", ""),
    ("dots", OMERO + "state_dir: /var/../x\n" + BOX, 2, 12, "holds ..", ""),
    ("same box", OMERO + STATE + BOX + "  - path: /srv/a/", 5, 11, "the same folder as the box of line 4", "remove one"),
    ("nested box", OMERO + STATE + BOX + "  - path: /srv/a/b", 5, 11, "lies inside the box of line 4", "beside"),
    ("box around", OMERO + STATE + BOX + "  - path: /srv", 5, 11, "lies around the box of line 4", "beside"),
    ("state in a box", OMERO + "state_dir: /srv/a/state\n" + BOX, 2, 12, "lies in the box of line 4", "/var/lib"),
    ("state is a box", OMERO + "state_dir: /srv/a\n" + BOX, 2, 12, "lies in the box of line 4", "/var/lib"),
    ("box in state", OMERO + "state_dir: /srv\n" + BOX, 4, 11, "lies in state_dir", "elsewhere"),
    ("owners", OMERO + STATE + BOX + "    owners: everybody", 5, 13, 'one of from_folder or any is expected, not "everybody"', ""),
    ("duration", OMERO + STATE + BOX + "    quiet_period: 10 parsecs", 5, 19, "parsecs is no unit of time", "45 min"),
    ("duration as a word", OMERO + STATE + BOX + "    quiet_period: soon", 5, 19, 'a duration is expected, not "soon"', "10 s"),
    ("size", OMERO + STATE + BOX + "    min_free: lots", 5, 15, 'a size is expected, not "lots"', "5 GB"),
    ("scan too often", OMERO + STATE + BOX + "    scan_interval: 0", 5, 20, "too short", "0.1 s"),
    ("wait", OMERO + STATE + BOX + "    wait_for_files: {tell_after: 2 h, refuse_after: 1 h}", 5, 21, "refuse_after is shorter", "first"),
    ("defaults", OMERO + STATE + BOX + "    defaults: {tagz: [a]}", 5, 16, 'boxes.defaults.tagz: unknown key, did you mean "tags"?', ""),
    ("target in defaults", OMERO + STATE + BOX + "    defaults: {target: {dataset: 007}}", 5, 34, "007 may be an id or a name", "{id: 7}"),
    ("delays", OMERO + STATE + BOX + "retry: {delays: []}", 5, 17, "the list is empty", ""),
    ("jitter", OMERO + STATE + BOX + "retry: {jitter: 3}", 5, 17, "a number from 0 to 1", "0.1"),
    ("log level", OMERO + STATE + BOX + "log: {level: verbose}", 5, 14, "one of debug, info, warning or error", ""),
    ("instance", OMERO + STATE + BOX + "instance: Scope Room", 5, 11, "cannot name an instance", "scope-room-1"),
    ("workers", OMERO + STATE + BOX + "workers: {importers: 0}", 5, 22, "0 is not between 1 and 64", ""),
    ("tab", "omero:\n\thost: a", 2, 1, "a tab stands at the beginning", "spaces"),
    ("empty", "", 0, 0, "the file is empty", "init"),
    ("list", "- a", 1, 1, "does not begin with a key", "key: value"),
]


@pytest.mark.parametrize(("text", "line", "column", "says", "hint"), [row[1:] for row in ONE_MISTAKE], ids=[row[0] for row in ONE_MISTAKE])
def test_a_mistake_is_told_with_its_place_and_its_cure(text: str, line: int, column: int, says: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_settings(text.encode(), "c.yaml")
    (mistake,) = caught.value.mistakes
    assert says in mistake.sentence
    assert hint in mistake.hint
    assert (mistake.file, mistake.line, mistake.column) == ("c.yaml", line, column)


def test_every_mistake_is_told_at_once() -> None:
    text = "omero: {hots: x, user: u}\nstate_dir: rel\nboxes: [{path: x, defaults: {rating: 9}}]\nlog: {format: xml}\n"
    with pytest.raises(ConfigError) as caught:
        parse_settings(text.encode(), "c.yaml")
    assert [one.line for one in caught.value.mistakes] == [1, 1, 2, 3, 3, 4]
    assert caught.value.sentence == "The config file c.yaml has 6 mistakes."


def test_a_password_in_the_config_is_not_repeated_in_the_message() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_settings(("omero: {host: a, user: b, password: hunter2}\n" + STATE + BOX).encode(), "c.yaml")
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_not_there_is_a_mistake_of_the_administrator(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="There is no config file"):
        load_settings(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(tmp_path)


@given(st.binary(max_size=200))
def test_any_bytes_give_settings_or_mistakes(data: bytes) -> None:
    mistakes = None
    try:
        parse_settings(data, "c.yaml")
    except ConfigError as error:
        mistakes = error.mistakes
    assert mistakes is None or mistakes
