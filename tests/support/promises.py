"""What must be true of a lab whatever has happened: after every step, and when all is at rest. Each function tells what is not so."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dropbox_import.plain import to_plain
from dropbox_import.spool import journal, layout
from tests.support.said import ID, Filed, badly_told, disagreements, messages_in, read_all
from tests.support.scripted_server import Stored

if TYPE_CHECKING:
    from tests.support.lab import Lab
    from tests.support.lab_daemon import Daemon

OURS = {layout.JOURNAL, layout.REQUEST, layout.RESULT, layout.REASON, layout.ATTENTION, layout.MARKER}


def is_ours(name: str) -> bool:
    """Whether a file of that name is one that we write, and no user's."""
    return name in OURS or name.startswith(("journal", "."))


def always(lab: Lab, places: list[Path]) -> list[str]:
    """`places`: where the boxes are now (a share that is gone lies elsewhere)."""
    told = list(lab.server.broken)
    found = Counter(data for place in places for data in _bytes_of_users(place))
    for data, count in lab.user_bytes.items():
        if not count <= found[data] or (found[data] > count and not data.startswith(b"target:")):
            told.append(f"{data!r} is there {found[data]} times")
    complete = Counter((one.owner, one.token) for one in lab.server.complete())
    told += [f"{token} of {owner} was imported {count} times" for (owner, token), count in complete.items() if count > 1]
    stored = Counter(data for one in lab.server.complete() for data in one.contents)
    told += [f"{digest} was imported {count} times" for digest, count in stored.items() if count > 1 and digest not in lab.dropped_again]
    return told


def _bytes_of_users(place: Path) -> Iterator[bytes]:
    """Not copies of references, of which there may be more."""
    for top, folders, names in os.walk(place):
        folders[:] = [name for name in folders if name not in ("outbox", layout.REFERENCES)]
        for name in names:
            if not is_ours(name):
                with open(f"{top}/{name}", "rb") as file:
                    yield file.read()


def at_rest(lab: Lab, late: Collection[bytes] = (), forgotten: Collection[str] = ()) -> list[str]:
    """`late`: contents that nobody can have noticed. `forgotten`: drops whose journal was damaged; another outcome may be told too."""
    told = []
    aside = {path.name[:ID] for box in lab.boxes for path in (box / "discarded").glob("*")}
    for claim in lab.claims():
        told.append(f"stuck in inprogress/: {claim} ({_why(lab, claim)})")
    for one in lab.server.filesets.values():
        if not lab.server.is_complete(one) and one.meta["drop"] not in aside:
            told.append(f"left on the server: {one}")
    filed = read_all([(folder, where) for where in ("done", "failed") for folder in lab.filed(where)], told)
    for each in filed:
        told += disagreements(each, each.folder.parents[3])
        told += _done(lab, each, late) if each.where == "done" else _failed(lab, each)
    now = {(each.id, each.event) for each in filed}
    told += badly_told(filed, [one for one in messages(lab) if one[0][:ID] not in forgotten or (one[0][:ID], one[1]["event"]) in now])
    running = [daemon for daemon in lab.daemons if daemon.running]
    told += [f"the journal of {each.folder.name} is not vouched for" for each in filed if not _vouched(lab, each)]
    idle = [one for daemon in running for one in daemon.shared.book.idle(frozenset(), 150.0, joinable=True)]
    return [*told, *(f"the session {one.number} of {one.owner} is kept open for nothing ({one.state})" for one in idle)]


def messages(lab: Lab) -> list[tuple[str, dict[str, Any]]]:
    """Every message that was written: those that nobody was told of yet, and those of letters that people have got."""
    waiting = messages_in(outbox for box in lab.boxes for outbox in (box / "inprogress").glob("*/outbox"))
    letters = {message.name: to_plain(message) for letter in lab.server.mail.got for message in letter.messages}
    return [*waiting, *((name, content) for name, content in letters.items() if name not in dict(waiting))]


def left_open(lab: Lab) -> list[str]:
    """Sessions that are open when everything is over, but for those that end after ten idle minutes, or by the next daemon.

    The daemon that knows it does not run. Or nothing was ever done in it, because its opener ended before it could tell of it.
    """
    kept = _sessions_on_the_disk(lab)
    told = []
    for one in lab.server.sessions.values():
        host = kept.get(one.number)
        of_the_dead = host is not None and not host.running
        never_told = not one.needed and (host is None or one.number not in host.shared.book.states())
        if not one.closed and not of_the_dead and not never_told:
            told.append(f"left behind: the session {one.number} of {one.owner} is open, {'and' if host else 'but not'} known on the disk")
    return told


def never_told_of(lab: Lab) -> list[str]:
    """Sessions whose opener wrote down the secret and ended before it could tell its daemon: the next daemon must end them."""
    open_now = {one.number for one in lab.server.sessions.values() if not one.closed}
    running = [number for number, host in _sessions_on_the_disk(lab).items() if host.running]
    return [f"left behind: the session {number} is known on the disk and open" for number in running if number in open_now]


def _sessions_on_the_disk(lab: Lab) -> dict[int, Daemon]:
    return {int(path.stem): daemon for daemon in lab.daemons for path in (daemon.settings.state_dir / "sessions").glob("[0-9]*.json")}


def told_of_nothing(lab: Lab) -> list[str]:
    """Outcomes that were told of a drop of which there is nothing."""
    ids = {name[:ID] for name, content in messages(lab) if content["event"] in ("done", "partly", "failed")}
    for box in lab.boxes:
        for top, folders, names in os.walk(box):
            for known in [number for number in ids if any(number in name for name in folders)]:
                ids.discard(known)
            if ids and layout.RESULT in names:  # one that was moved back and taken again is called otherwise now
                text = (Path(top) / layout.RESULT).read_text()
                ids -= {number for number in ids if number in text}
    return [f"people were told of {number}, of which there is nothing" for number in sorted(ids)]


def _vouched(lab: Lab, one: Filed) -> bool:
    """Where there are several installations, one that does not run any more cannot be asked."""
    keys = {daemon.shared.instance.name: daemon.shared.instance.journal_key for daemon in lab.daemons if daemon.running}
    mine = list(keys.values()) if len(lab.daemons) == 1 else [key for name, key in keys.items() if name == one.drop.instance]
    return not mine or journal.vouched(one.records, mine[0])


def _why(lab: Lab, claim: str) -> str:
    found = [one for runner in lab.runners for one in runner.state()["active"] if one["id"] == claim]
    return f"after {found[0]['step']}: {found[0]['why']}" if found else "nobody drives it"


def _images(folder: Path) -> list[str]:
    root = folder / layout.MEMBERS
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.tif")) if root.is_dir() else []


def _holds(one: Stored, path: str) -> bool:
    """`path` may be a part of that in the drop folder, where its sidecar lay deeper."""
    return any(f"/{each}".endswith(f"/{path}") for each in one.paths)


def _done(lab: Lab, filed: Filed, late: Collection[bytes]) -> list[str]:
    folder, said = filed.folder, filed.said
    numbers = [one["fileset"] for one in said.get("filesets", [])]
    stored = [lab.server.filesets[number] for number in numbers if number in lab.server.filesets]
    told = [f"{folder.name} is done, but not in OMERO: {number}" for number in numbers if number not in lab.server.filesets]
    told += [f"{folder.name} is done, but not complete in OMERO: {one}" for one in stored if not lab.server.is_complete(one)]
    told += [f"{folder.name} is done without {path}" for path in _images(folder) if not any(_holds(one, path) for one in stored)]
    told += [f"{folder.name} is done for {said['owner']}, its images are {one.owner}'s" for one in stored if one.owner != said["owner"]]
    if not (folder / layout.ATTENTION).exists():
        told += [f"nobody was told that {folder.name} has another {path} than OMERO" for path in _others(folder, stored, said, late)]
    return told + _misreported(lab, filed, stored)


def _misreported(lab: Lab, filed: Filed, stored: list[Stored]) -> list[str]:
    """What result.yaml says of the server that is not so there."""
    name, told = filed.folder.name, []
    for one, there in zip(filed.said.get("filesets", []), stored, strict=False):
        images = [{"id": there.number * 10, "name": there.paths[0]}]
        if one["images"] != images:
            told.append(f"the report of {name} says the images {one['images']}, OMERO has {images}")
        sent = {(each["client_path"], each["size"], each.get("sha1")) for each in one["files"] if "client_path" in each}
        if sent and ({each[:2] for each in sent} != set(there.sizes.items()) or {each[2] for each in sent} != there.contents):
            told.append(f"the report of {name} says that {sorted(sent)} was sent, OMERO has {there.sizes}, {there.contents}")
    made = [*filed.said.get("annotations", []), *(each for one in filed.said.get("filesets", []) for each in one.get("annotations", []))]
    told += [f"the report of {name} says that {each} was made, OMERO has none" for each in made if each not in lab.server.annotated]
    target = filed.said.get("target", {})
    if target.get("dataset") is not None and lab.server.targets.get(("lab", str(target.get("dataset_name")))) != target["dataset"]:
        told.append(f"the report of {name} says that it is in {target}, OMERO has {lab.server.targets}")
    return told


def _others(folder: Path, stored: list[Stored], said: dict[str, Any], late: Collection[bytes]) -> list[str]:
    """The images that are not what this very drop brought into OMERO."""
    found = []
    for path in _images(folder):
        data = (folder / layout.MEMBERS / path).read_bytes()
        mine = [one for one in stored if _holds(one, path) and one.meta["drop"] == said["drop"]]
        if mine and data not in late and not any(hashlib.sha1(data).hexdigest() in one.contents for one in mine):
            found.append(path)
    return found


def _failed(lab: Lab, filed: Filed) -> list[str]:
    folder, said = filed.folder, filed.said
    mine = [one for one in lab.server.complete() if one.meta["drop"] == said["drop"]]
    told = [f"{folder.name} failed, but {path} is in OMERO" for path in _images(folder) if any(_holds(one, path) for one in mine)]
    for one in said.get("failures", []):
        if not _justly(folder, one):
            told.append(f"{folder.name} failed, but nothing is wrong with it: {one}")
    return told


def _justly(folder: Path, failure: Mapping[str, Any]) -> bool:
    """As far as the files show it: what the scripted inspector calls cut is so, and a sidecar that is refused has a mistake."""
    if failure["code"] == "cut":
        data = {path: folder / layout.MEMBERS / path for path in failure["files"]}
        return any("bad" in path or (place.exists() and place.read_bytes().startswith(b"bad")) for path, place in data.items())
    return True
