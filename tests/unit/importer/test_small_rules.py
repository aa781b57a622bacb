"""Addresses, passwords, names of series, session files, meanings of import errors: the parts that need no server."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dropbox_import.errors import AccessDenied, ConfigError, OutcomeUnknown, by_class_name
from dropbox_import.importer import connection, queries, records, texts
from dropbox_import.importer.connection import ServerConfig
from dropbox_import.importer.processing import explain
from dropbox_import.importer.records import HeldAttempt, Sent, SessionRecord
from dropbox_import.importer.texts import Pictured
from dropbox_import.importer.worker import Importer
from dropbox_import.model import ImageRule
from tests.unit.importer.foreign import errors

assert errors
UUID = "f69fc306-602b-453a-a123-d955e1734c97"


def _config(**more: Any) -> ServerConfig:
    return ServerConfig.from_args({"host": "omero.example.org", "user": "importer", "sessions_dir": "/nowhere", **more})


def test_the_certificate_is_verified_unless_somebody_says_insecure(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.touch()
    verified = connection.properties(_config(ca_file=str(ca)))
    assert (verified["IceSSL.VerifyPeer"], verified["IceSSL.CheckCertName"], verified["IceSSL.CAs"]) == ("2", "1", str(ca))
    assert connection.properties(_config())["IceSSL.UsePlatformCAs"] == "1"
    assert connection.properties(_config(insecure=True))["IceSSL.VerifyPeer"] == "0"


def test_every_call_has_a_time_out() -> None:
    assert connection.properties(_config())["Ice.Default.InvocationTimeout"] == "60000"


@pytest.mark.parametrize("host", ["tcp://omero.example.org", "ws://omero.example.org/x", "http://omero.example.org", "ssl://"])
def test_an_address_that_is_plain_or_none_is_refused(host: str) -> None:
    with pytest.raises(ConfigError) as refused:
        connection.properties(_config(host=host))
    assert refused.value.hint


@pytest.mark.parametrize(
    ("host", "port", "router"),
    [
        ("omero.example.org", 4064, "ssl -p 4064 -h omero.example.org"),
        ("omero.example.org", 14064, "ssl -p 14064 -h omero.example.org"),
        ("wss://omero.example.org", 4064, "wss -p 443 -h omero.example.org"),
        ("wss://omero.example.org:8443/omero-ws", 4064, "wss -p 8443 -h omero.example.org -r /omero-ws"),
        ("tcp://omero.example.org:4063", 4064, "tcp -p 4063 -h omero.example.org"),
    ],
)
def test_all_forms_of_an_address_reach_the_router(host: str, port: int, router: str) -> None:
    client = connection.make_client(_config(host=host, port=port, insecure=True))
    try:
        assert client.getProperty("Ice.Default.Router") == f"OMERO.Glacier2/router:{router}"
        assert client.getProperty("IceSSL.VerifyPeer") == "0"
    finally:
        connection.close(client)


def test_the_password_comes_from_the_file_or_the_environment_and_is_never_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "password"
    secret.write_text("correct horse\n")
    assert connection.password_of(_config(password_file=str(secret))) == "correct horse"
    monkeypatch.setenv("OTHER", "battery")
    assert connection.password_of(_config(password_env="OTHER")) == "battery"
    for missing in (_config(password_file=str(tmp_path / "none")), _config(password_env="NOT_SET_AT_ALL")):
        with pytest.raises(AccessDenied):
            connection.password_of(missing)


def test_a_session_file_is_private_and_read_back(tmp_path: Path) -> None:
    held = HeldAttempt("d", "k", 2, 5, "proxy", (Sent("a", 1, "ff"),))
    record = SessionRecord(7, UUID, "jdoe", 3, "lab", 4, "", (held,))
    records.write(tmp_path, record)
    assert records.read(tmp_path, 7) == record
    if sys.platform != "win32":
        assert stat.S_IMODE(records.path_of(tmp_path, 7).stat().st_mode) == 0o600
    assert UUID not in repr(record)
    records.remove(tmp_path, 7)
    assert records.read(tmp_path, 7) is None


def test_a_cut_session_file_says_nothing(tmp_path: Path) -> None:
    records.path_of(tmp_path, 7).write_text('{"number": 7, "uu')
    assert records.read(tmp_path, 7) is None


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{series:02d}_{series_name}", "03_left eye"),
        ("a{series}", "a3"),
        ("{other} {series_name}", "{other} left eye"),
        ("{series:d}{series:2d}", "3 3"),
    ],
)
def test_series_in_names(template: str, name: str) -> None:
    assert texts.rendered(template, Pictured(1, 3, "left eye", "x")) == name


def test_only_names_with_a_series_are_set_after_the_import() -> None:
    image = Pictured(1, 0, "", "x")
    assert texts.wanted_texts(ImageRule(name="plain", description="plain"), image, "") == (None, None)
    assert texts.wanted_texts(ImageRule(name="n{series}"), image, "") == ("n0", None)


def test_a_description_is_appended_once() -> None:
    rule, image = ImageRule(description="100x", append=True), Pictured(1)
    _name, text = texts.wanted_texts(rule, image, "from the file")
    assert text == "from the file\n100x"
    assert texts.wanted_texts(rule, image, text) == (None, None)
    assert texts.wanted_texts(rule, image, "") == (None, "100x")


def test_wildcards_of_a_submission_are_not_wildcards_of_ours() -> None:
    assert queries.like_pattern("50%_a\\b") == "50__a_b/%"


@pytest.mark.parametrize(
    ("name", "message", "ours"),
    [
        ("error-on-init", "Unknown file format: /OMERO/x.tif", "UnreadableImage"),
        ("import-request-failure", "No row with the given identifier exists: [ome.model.containers.Dataset#9]", "TargetUnusable"),
        ("import-request-failure", "Group is rwr---. Cannot link to object: ome.model.containers.Dataset:Id_9", "TargetUnusable"),
        ("error-on-init", "java.lang.OutOfMemoryError: Java heap space", "ServerUnavailable"),
        ("update-log-file-size", "", "OutcomeUnknown"),
    ],
)
def test_what_a_failed_import_means(name: str, message: str, ours: str) -> None:
    meaning = explain(name, message)
    assert meaning["class"] == ours
    assert by_class_name(ours).__name__ == ours
    assert meaning["hint"]


def test_a_worker_says_what_it_does_not_hold() -> None:
    importer = Importer(SimpleNamespace())  # type: ignore[arg-type]
    job: Any = SimpleNamespace(args={"session": 9}, in_call=lambda *_: None, drop="d", key="k", attempt=1)
    for command in ("keep_alive", "poll", "commit"):
        with pytest.raises(OutcomeUnknown) as unknown:
            importer.handlers()[command](job)
        assert unknown.value.kind == "no-such-session"
