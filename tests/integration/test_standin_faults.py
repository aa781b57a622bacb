"""The stand-in survives a kill with its rows and files, and breaks on demand at exactly the call that a test names."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import Glacier2
import Ice
import numpy
import omero
import omero.clients
import omero.grid
import omero.model
import psutil
import pytest
import tifffile

from dropbox_import.standin import sources
from dropbox_import.standin.faults import ACTIONS, log_of_lines
from dropbox_import.standin.paths import place
from tests.support.standin_process import RunningStandin, answer, ask, begin, dataset, import_one, running, settings, until, upload

GOLDEN = Path(__file__).parent.parent / "golden"
TOKEN = "select l.parent.id from FilesetAnnotationLink l join l.child a where a.name=:t"
IMAGES = "select i.id, px.sha1 from Image i join i.pixels px where i.fileset.id in (:f) order by i.id"
STATUS = "select u.status.value from FilesetJobLink l, UploadJob u where l.child.id=u.id and l.parent.id=:f"
BROKEN = (Ice.ConnectionLostException, Ice.ProtocolException, Ice.ForcedCloseConnectionException)


def tiff() -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, numpy.zeros((8, 8), "uint8"))
    return stream.getvalue()


DATA = tiff()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStandin]:
    with running(tmp_path_factory.mktemp("standin")) as found:
        yield found


@pytest.fixture(autouse=True)
def back_to_normal(server: RunningStandin) -> Iterator[None]:
    yield
    server.faults()
    server.close_clients()


def test_a_kill_keeps_rows_and_files_and_ends_sessions(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        client, uuid = server.sudo("alice")
        target = dataset(client)
        image = import_one(client, DATA, wanted=settings(omero.model.DatasetI(target, False)), token="kept/1").objects[0].id.val
        upload(begin(client, ["half.tif"], token="kept/2"), 0, DATA)
        server.kill()
        server.start()
        with pytest.raises(Glacier2.PermissionDeniedException) as caught:
            server.client().createSession(uuid, uuid)
        assert caught.value.reason.startswith(f"Password check failed for '{uuid}': [user=alice, created=")
        again = server.log_in("alice")
        made = ask(again, TOKEN, t="kept/1") + ask(again, TOKEN, t="kept/2")
        assert [row[0] for row in ask(again, IMAGES, f=[row[0] for row in made])] == [image]
        assert ask(again, "select l.child.id from DatasetImageLink l where l.parent.id=:d", d=target) == [[image]]
        assert [ask(again, STATUS, f=row[0]) for row in made] == [[["Finished"]], [["Submitted"]]]
        assert len(list((tmp_path / "ManagedRepository").rglob("*.tif"))) == 2
        assert import_one(again, DATA, token="kept/3").objects[0].id.val > image


def test_a_lost_client_of_a_plain_session_takes_its_import_along(server: RunningStandin) -> None:
    client = server.log_in("alice")
    process = begin(client, ["a.tif"], token="lost/1")
    store = process.getUploader(0)
    store.write(DATA[:100], 0, 100)
    name = process.ice_toString()
    server.faults({"operation": "getImportSettings", "do": "cut-before"})
    with pytest.raises(BROKEN):
        process.getImportSettings()
    other = server.log_in("alice")
    size = "select o.size, o.hash from FilesetEntry e join e.originalFile o where e.fileset.id=:f"
    made = ask(other, TOKEN, t="lost/1")[0][0]
    assert until(lambda: ask(other, size, f=made)[0][0] == 100), "what was written has got its size and hash"
    with pytest.raises(Ice.ObjectNotExistException):
        omero.grid.ImportProcessPrx.uncheckedCast(other.ic.stringToProxy(name)).getUploadOffset(0)


def test_in_a_sudo_session_the_next_client_goes_on_where_the_last_one_was_cut(server: RunningStandin) -> None:
    client, uuid = server.sudo("alice")
    process = begin(client, ["a.tif"], token="resumed/1")
    process.getUploader(0).write(DATA[:100], 0, 100)
    saved = process.ice_toString()
    server.faults({"operation": "getUploadOffset", "do": "cut-after"})
    with pytest.raises(BROKEN):
        process.getUploadOffset(0)
    again = server.log_in(uuid)
    process = omero.grid.ImportProcessPrx.uncheckedCast(again.ic.stringToProxy(saved))
    store = process.getUploader(0)
    assert store.size() == 100
    store.truncate(0)
    handle = process.verifyUpload([upload(process, 0, DATA)])
    assert isinstance(answer(handle), omero.grid.ImportResponse)
    assert process.getHandle() == handle


@pytest.mark.parametrize(("do", "begun"), [("cut-before", 0), ("cut-after", 1), ("late", 1)])
def test_a_cut_at_the_beginning_of_an_import_leaves_what_was_asked_for(server: RunningStandin, do: str, begun: int) -> None:
    client, uuid = server.sudo("alice")
    client.getManagedRepository()
    # What is late lands when the question below has had its answer, however long that takes.
    server.faults({"operation": "importFileset", "do": do, "until": "projection", "seconds": 60})
    with pytest.raises(BROKEN):
        begin(client, ["a.tif"], token=f"cut/{do}")
    again = server.log_in(uuid)
    if do == "late":
        assert ask(again, TOKEN, t=f"cut/{do}") == [], "the effect has not landed yet"
        assert until(lambda: ask(again, TOKEN, t=f"cut/{do}"))
    assert len(ask(again, TOKEN, t=f"cut/{do}")) == begun


def test_a_cut_strikes_the_named_call_and_no_other(server: RunningStandin) -> None:
    client = server.log_in("alice")
    query = client.sf.getQueryService()
    server.faults({"operation": "find", "nth": 3, "do": "cut-before"})
    assert [query.find("Image", -1) for _ in range(2)] == [None, None]
    with pytest.raises(BROKEN):
        query.find("Image", -1)
    assert server.log_in("alice").sf.getQueryService().find("Image", -1) is None


def test_a_line_that_is_half_written_is_no_line_and_spoils_no_other(tmp_path: Path) -> None:
    server = RunningStandin(tmp_path)
    log = tmp_path / "calls.jsonl"
    whole = [{"n": 1, "op": "find"}]
    log.write_text(json.dumps(whole[0]) + "\n" + '{"n": 2, "op": "cl')
    assert server.calls() == whole, "it is being written"
    with log_of_lines(log) as out:  # its writer was killed, and another one goes on
        out.write('{"n": 1, "op": "close"}\n')
    assert [call["op"] for call in server.calls()] == ["find", "close"]


def test_a_fault_is_logged_when_it_came_about_and_only_then(server: RunningStandin) -> None:
    client = server.log_in("alice")
    query = client.sf.getQueryService()
    never = {"operation": "find", "nth": 9, "do": "error"}
    server.faults({"operation": "find", "do": "error"}, never, {"operation": "*", "users": ["nobody"], "do": "cut-before"})
    assert server.strikes() == [0, 0, 0]
    with pytest.raises(Ice.UnknownException):
        query.find("Image", 1)
    query.find("Image", -1)
    assert server.strikes() == [1, 0, 0]
    server.faults({"operation": "get", "do": "cut-after"})
    with pytest.raises(BROKEN):
        query.get("Image", -1)
    assert server.strikes() == [1], "that a call is refused is an answer too"
    client = server.log_in("alice")
    query = client.sf.getQueryService()
    server.faults({"operation": "find", "do": "cut-after"})
    with pytest.raises(BROKEN):
        query.find("Image", -1)
    assert server.strikes() == [1]


def test_a_hanging_call_is_ended_by_the_client_and_hurts_nobody_else(server: RunningStandin) -> None:
    client = server.log_in("alice")
    query = client.sf.getQueryService()
    server.faults({"operation": "find", "do": "hang"})
    with pytest.raises((Ice.InvocationTimeoutException, Ice.TimeoutException)):
        omero.api.IQueryPrx.uncheckedCast(query.ice_invocationTimeout(300)).find("Image", -1)
    assert query.find("Image", -1) is None


def test_a_full_disk_fails_the_write_and_closes_in_silence_without_a_hash(server: RunningStandin) -> None:
    client = server.log_in("alice")
    process = begin(client, ["a.tif"])
    store = process.getUploader(0)
    server.faults({"operation": "write", "do": "disk-full"})
    with pytest.raises(omero.ResourceError) as caught:
        store.write(DATA, 0, len(DATA))
    assert caught.value.message == "No space left on device"
    assert process.getUploadOffset(0) == len(DATA), "it counts writes that failed"
    assert store.size() == 0
    store.close()
    with pytest.raises(Ice.UnknownException):
        process.verifyUpload(["0" * 40])


def test_refused_log_in_and_ended_session_and_fault(server: RunningStandin) -> None:
    server.faults({"operation": "createSession", "do": "refuse"})
    with pytest.raises(Glacier2.PermissionDeniedException) as caught:
        server.client().createSession("alice", "alice")
    assert caught.value.reason.startswith("Internal error")
    client = server.log_in("alice")
    server.faults({"operation": "find", "do": "error"}, {"operation": "get", "do": "end-session"})
    query = client.sf.getQueryService()
    with pytest.raises(Ice.UnknownException):
        query.find("Image", 1)
    for _ in range(2):
        with pytest.raises(Ice.ObjectNotExistException):
            query.get("Image", 1)


def test_a_session_ended_under_an_import_leaves_no_image(server: RunningStandin) -> None:
    client = server.log_in("alice")
    process = begin(client, ["a.tif"], token="ended/1")
    sha1 = upload(process, 0, DATA)
    server.faults({"operation": "getStatus", "do": "end-session"}, import_seconds=6)
    handle = process.verifyUpload([sha1])
    with pytest.raises(Ice.ObjectNotExistException):
        handle.getStatus()
    other = server.log_in("alice")
    made = ask(other, TOKEN, t="ended/1")[0][0]
    assert ask(other, STATUS, f=made) == [["Finished"]]
    with pytest.raises(AssertionError):
        until(lambda: ask(other, IMAGES, f=[made]), 4)


def test_a_client_that_goes_after_verify_does_not_stop_its_import(server: RunningStandin) -> None:
    client = server.log_in("alice")
    process = begin(client, ["a.tif"], token="gone/1")
    sha1 = upload(process, 0, DATA)
    server.faults(import_seconds=0.6)
    process.verifyUpload([sha1])
    server.close_clients()
    other = server.log_in("alice")
    made = ask(other, TOKEN, t="gone/1")[0][0]
    assert until(lambda: [row for row in ask(other, IMAGES, f=[made]) if row[1] != "Pending..."])


def test_a_fault_that_does_not_exist_is_told(server: RunningStandin) -> None:
    client = server.log_in("alice")
    query = client.sf.getQueryService()
    server.faults({"operation": "find", "do": "no such thing"})
    with pytest.raises(Ice.UnknownException) as caught:
        query.find("Image", 1)
    assert "no such thing" in caught.value.unknown


def test_calls_are_logged_by_name_and_user(server: RunningStandin) -> None:
    before = len(server.calls())
    server.log_in("alice").sf.getAdminService().getEventContext()
    new = server.calls()[before:]
    assert [call["op"] for call in new if call["op"] in ("createSession", "getEventContext")] == ["createSession", "getEventContext"]
    assert new[-1]["user"] == "alice"
    assert new[-1]["n"] - new[0]["n"] == len(new) - 1


def test_it_costs_nothing_while_nobody_calls(server: RunningStandin) -> None:
    process = psutil.Process(server.pid)

    def spent() -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    before = spent()
    with pytest.raises(AssertionError):
        until(lambda: False, 0.5)
    assert spent() - before < 0.1


def test_stops_cleanly_when_told_to(tmp_path: Path) -> None:
    server = RunningStandin(tmp_path).start()
    server.log_in("alice")
    assert server.stop() == 0


def test_holdings_tells_what_omero_holds(server: RunningStandin) -> None:
    client = server.log_in("alice")
    pairs = omero.model.MapAnnotationI()
    pairs.mapValue = [omero.model.NamedValue("stain", "DAPI")]
    wanted = settings(omero.model.DatasetI(dataset(client, "shown"), False), "held", [pairs])
    import_one(client, b"", "h&sizeX=20&sizeY=10.fake", wanted)
    command = [sys.executable, "-m", "dropbox_import.standin.holdings", "--dir", str(server.folder)]
    held = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    found = next(image for image in held["images"] if image["name"] == "held")
    assert (found["dataset"], found["owner"], found["size"]) == ("shown", "alice", [20, 10, 1, 1, 1])
    assert found["key_values"] == [["stain", "DAPI"]]


def test_an_unusable_users_file_is_told_in_a_sentence(tmp_path: Path) -> None:
    users = tmp_path / "users.json"
    users.write_text("groups: []")
    command = [sys.executable, "-m", "dropbox_import.standin", "--dir", str(tmp_path / "d"), "--users", str(users)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (3, "")
    assert "cannot be read" in done.stderr


def stored_names() -> list[tuple[str, str, str]]:
    recorded = json.loads((GOLDEN / "05_file_names.json").read_text())
    entries = [entry["stored"] for entry in recorded.values() if isinstance(entry, dict) and "stored" in entry]
    return [(entry["clientPath"], entry["path_below_template"], entry["name"]) for entry in entries]


@pytest.mark.parametrize(("client_path", "folder", "name"), stored_names())
def test_a_client_path_is_stored_where_it_was_recorded(client_path: str, folder: str, name: str) -> None:
    prefix = "alice_2/2026-11/22/10-00-00.000/"
    found = place(prefix, client_path)
    if [part for part in client_path.split("/") if part not in ("", ".")] in ([], [".."]):
        assert found.path + found.name in ("alice_2/2026-11/22/10-00-00.000", "alice_2/2026-11/22")
    elif ".." in client_path.split("/"):
        assert found.crooked
    else:
        assert (found.path, found.name) == (prefix + folder, name)


def test_every_behaviour_names_its_source() -> None:
    from dropbox_import.standin import server as everything

    assert everything.StandIn
    counted = sources.counts()
    assert sum(counted.values()) == len(sources.table()) > 100
    assert min(counted.values()) > 0
    assert all(entry.where for entry in sources.table())
    for entry in sources.table():
        if entry.kind == "recorded" and entry.where[:2].isdigit():
            assert list(GOLDEN.glob(f"{entry.where.split()[0].rstrip(',;:').removesuffix('.json').split('_')[0]}*")), entry
    assert "late" in ACTIONS
