"""One identity is in use once: a copied state folder is refused wherever it lies, a moved one is accepted."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from dropbox_import.errors import ConfigError, TryLater
from dropbox_import.spool import identity
from dropbox_import.spool.identity import Instance, OnlyOne, load_instance
from tests.support.clocks import HandClock


def load(folder: Path, name: str = "lab", seed: int = 1) -> Instance:
    return load_instance(folder, name, HandClock(seed))


def test_the_same_identity_at_each_start(tmp_path: Path) -> None:
    first = load(tmp_path / "state")
    again = load(tmp_path / "state", seed=2)
    assert again == first
    assert len(first.journal_key) == 32
    assert first.name.startswith("lab-")


def test_two_installations_share_neither_name_nor_key(tmp_path: Path) -> None:
    one, other = load(tmp_path / "one"), load(tmp_path / "other", seed=2)
    assert one.name != other.name
    assert one.journal_key != other.journal_key


def test_the_key_is_for_the_account_alone_and_is_not_printed(tmp_path: Path) -> None:
    instance = load(tmp_path / "state")
    if os.name == "posix":
        for name in ("journal.key", "instance.json"):
            assert (tmp_path / "state" / name).stat().st_mode & 0o777 == 0o600
    assert repr(instance.journal_key) not in repr(instance)


def test_a_damaged_key_is_told_and_not_replaced(tmp_path: Path) -> None:
    load(tmp_path / "state")
    (tmp_path / "state" / "journal.key").write_bytes(b"half")
    with pytest.raises(ConfigError, match="damaged") as caught:
        load(tmp_path / "state")
    assert "remove it" in caught.value.hint
    assert (tmp_path / "state" / "journal.key").read_bytes() == b"half"


def test_a_copy_beside_the_original_is_refused_and_the_original_goes_on(tmp_path: Path) -> None:
    original = load(tmp_path / "state")
    shutil.copytree(tmp_path / "state", tmp_path / "copy")
    with pytest.raises(ConfigError, match="is a copy of") as caught:
        load(tmp_path / "copy")
    assert str(tmp_path / "state") in caught.value.hint
    with pytest.raises(ConfigError, match="is a copy of"):
        load(tmp_path / "copy")
    assert load(tmp_path / "state") == original


def test_a_moved_state_folder_is_accepted_and_a_copy_left_behind_later_is_refused(tmp_path: Path) -> None:
    original = load(tmp_path / "state")
    (tmp_path / "state").rename(tmp_path / "moved")
    assert load(tmp_path / "moved").name == original.name
    assert load(tmp_path / "moved").journal_key == original.journal_key
    shutil.copytree(tmp_path / "moved", tmp_path / "state")
    with pytest.raises(ConfigError, match="is a copy of"):
        load(tmp_path / "state")


def test_another_installation_in_the_old_place_does_not_hinder_the_moved_one(tmp_path: Path) -> None:
    original = load(tmp_path / "state")
    (tmp_path / "state").rename(tmp_path / "moved")
    assert load(tmp_path / "state", seed=2).name != original.name
    assert load(tmp_path / "moved").name == original.name


def test_the_same_folder_by_another_name_is_no_copy(tmp_path: Path) -> None:
    original = load(tmp_path / "state")
    (tmp_path / "link").symlink_to(tmp_path / "state")
    assert load(tmp_path / "link").name == original.name


def test_an_old_place_that_cannot_be_judged_is_a_reason_to_refuse(tmp_path: Path) -> None:
    load(tmp_path / "state")
    (tmp_path / "state").rename(tmp_path / "moved")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "instance.json").write_bytes(b"{")
    with pytest.raises(ConfigError, match="cannot be told") as caught:
        load(tmp_path / "moved")
    assert "remove what is left" in caught.value.hint
    shutil.rmtree(tmp_path / "state")
    load(tmp_path / "moved")


def test_a_state_folder_of_an_older_release_learns_its_place(tmp_path: Path) -> None:
    original = load(tmp_path / "state")
    path = tmp_path / "state" / "instance.json"
    facts = json.loads(path.read_bytes())
    del facts["place"]
    path.write_text(json.dumps(facts))
    assert load(tmp_path / "state") == original
    shutil.copytree(tmp_path / "state", tmp_path / "copy")
    with pytest.raises(ConfigError, match="is a copy of"):
        load(tmp_path / "copy")


def test_a_state_folder_of_another_machine_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(tmp_path / "state")
    monkeypatch.setattr(identity, "machine_id", lambda: "another")
    with pytest.raises(ConfigError, match="another machine"):
        load(tmp_path / "state")


def test_another_configured_name_is_refused_with_what_to_write(tmp_path: Path) -> None:
    load(tmp_path / "state")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "state", name="other")
    assert "instance: lab" in caught.value.hint


@pytest.mark.parametrize("text", [b"", b"[]", b'{"name": "lab"}', b"\xff"])
def test_a_damaged_identity_is_told(tmp_path: Path, text: bytes) -> None:
    load(tmp_path / "state")
    (tmp_path / "state" / "instance.json").write_bytes(text)
    with pytest.raises(ConfigError, match="damaged"):
        load(tmp_path / "state")


def test_a_lock_that_cannot_be_opened_waits_and_is_no_bug(tmp_path: Path) -> None:
    """As after one start as root, whose lock the service account may not open. Found by refusing the real service a call."""
    instance = load(tmp_path / "state")
    (tmp_path / "state" / "locks" / "daemon.lock").mkdir()
    with pytest.raises(TryLater, match="locking the state folder"), OnlyOne(instance):
        pass
