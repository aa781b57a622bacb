"""Durations, sizes, policies and names mean what the administrator typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from dropbox_import.errors import ConfigError
from dropbox_import.settings import Settings, parse_settings
from dropbox_import.settings.load import host_instance
from dropbox_import.settings.secrets import PasswordSource, find_password

BASE = "omero: {host: o.uni.org, user: importer%s}\nstate_dir: /var/lib/x\nboxes:\n  - path: /srv/a\n"


def made(more: str = "", omero: str = "") -> Settings:
    return parse_settings((BASE % omero + more).encode(), "c.yaml")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10", 10.0),
        ("10 s", 10.0),
        ("1.5s", 1.5),
        ("45 min", 2700.0),
        ("2 h", 7200.0),
        ("1 d", 86400.0),
        ("'3 hours'", 10800.0),
        ("500 ms", 0.5),
        ("0", 0.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert made(f"    quiet_period: {text}").boxes[0].quiet_period == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("5 GB", 5_000_000_000), ("64 MiB", 64 << 20), ("1.5 GB", 1_500_000_000), ("500MB", 500_000_000), ("2 TiB", 2 << 40)],
)
def test_sizes(text: str, size: int) -> None:
    assert made(f"    min_free: {text}").boxes[0].min_free == size


@pytest.mark.parametrize(("text", "owners"), [("any", "any"), ("from_folder", "from_folder"), ("[ann, 007]", ("ann", "007")), ("[]", ())])
def test_owners(text: str, owners: object) -> None:
    assert made(f"    owners: {text}").boxes[0].owners == owners


def test_defaults_of_a_box_keep_what_was_typed() -> None:
    box = made("    defaults: {rating: 3, end: true, tags: [HeLa, 00123], key_values: [{pairs: {a: 1.50, b: NO, c: 7}}]}").boxes[0]
    assert box.defaults == {
        "rating": 3,
        "end": True,
        "tags": ["HeLa", "00123"],
        "key_values": [{"pairs": {"a": "1.50", "b": "NO", "c": 7}}],
    }


def test_retry_and_workers() -> None:
    settings = made(
        "retry: {delays: [1 min, 30], jitter: 0}\nworkers: {importers: 2, inspector_memory: 1 GB}\nlog: {level: debug, format: json}"
    )
    assert settings.retry.delays == (60.0, 30.0)
    assert settings.retry.jitter == 0.0
    assert (settings.workers.importers, settings.workers.filesets_in_flight, settings.workers.inspector_memory) == (2, 4, 1_000_000_000)
    assert (settings.log.level, settings.log.format) == ("debug", "json")


@pytest.mark.parametrize(("host", "instance"), [("Scope-7.uni.org", "scope-7"), ("a_b c", "a-b-c"), ("--", "host"), ("x" * 60, "x" * 40)])
def test_the_host_names_the_instance(host: str, instance: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: host)
    assert host_instance() == instance
    assert made().instance == instance


def test_the_password_is_looked_for_in_file_then_credential_then_environment(tmp_path: Path) -> None:
    (tmp_path / "omero-password").write_text("x")
    everywhere = {"CREDENTIALS_DIRECTORY": str(tmp_path), "OMERO_PASSWORD": "x", "MINE": "y"}
    assert find_password(made(omero=", password_file: /etc/pw"), everywhere) == PasswordSource(file=Path("/etc/pw"))
    assert find_password(made(), everywhere) == PasswordSource(file=tmp_path / "omero-password")
    assert find_password(made(), {"OMERO_PASSWORD": "x", "CREDENTIALS_DIRECTORY": "/nowhere"}) == PasswordSource(env="OMERO_PASSWORD")
    assert find_password(made(omero=", password_env: MINE"), {"MINE": "y"}) == PasswordSource(env="MINE")
    with pytest.raises(ConfigError) as caught:
        find_password(made(), {})
    assert "OMERO_PASSWORD is not set" in caught.value.sentence
