"""What each command of docs/worker-protocol.md does to the scripted server, and what its worker notes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from dropbox_import.disk.trouble import as_ours as disk_trouble
from dropbox_import.errors import OutcomeUnknown, ServerUnavailable, TryLater
from dropbox_import.inspector.keys import fileset_key
from dropbox_import.model import FileFacts
from dropbox_import.plain import from_plain, to_plain
from dropbox_import.workers.protocol import Command
from tests.support.scripted_server import NEVER, Server, Stored


class Commands:
    """`holds` is what the living importer knows: session -> attempt -> fileset. The files of sessions outlive it."""

    def __init__(self, server: Server, sessions_dir: Path) -> None:
        self.server = server
        self.sessions_dir = sessions_dir
        self.holds: dict[int, dict[tuple[str, str, int], int]] = {}

    def _do(self, command: Command) -> dict[str, Any]:
        self.server.tick()
        return dict(getattr(self, f"_{command.do}")(command, **command.args))

    def _inspect(self, command: Command, root: str, members: list[dict[str, Any]], named: list[str]) -> dict[str, Any]:
        found = [from_plain(FileFacts, one) for one in members]
        good = [one for one in found if one.path.endswith(".tif")]
        bad = [one for one in good if "bad" in one.path]
        companions = {one.path.removesuffix(".xml"): one for one in found if one.path.endswith(".xml")}
        groups = [[one, *filter(None, [companions.get(one.path.removesuffix(".tif"))])] for one in good]
        plans = [{"key": fileset_key(group), "files": [to_plain(one) for one in group]} for group in groups if group[0] not in bad]
        told = [
            {"files": [one.path for one in group], "code": "cut", "sentence": f"{group[0].path} is cut in half"}
            for group in groups
            if group[0] in bad
        ]
        return {"filesets": plans, "bad": told, "extras": [one.path for one in found if not any(one in group for group in groups)]}

    def _open_session(self, command: Command, owner: str, group: str | None) -> dict[str, Any]:
        session = self.server.open(owner)
        self._record(session.number).write_bytes(b'{"owner": "%s", "group": "lab"}' % owner.encode())
        self.holds[session.number] = {}
        return {
            "session": session.number,
            "owner": owner,
            "group": "lab",
            "group_id": 3,
            "owner_id": 2,
            "email": self.server.mail.addresses.get(owner),
        }

    def _who(self, owner: str) -> dict[str, Any]:
        return {"owner": owner, "owner_id": 2, "group": "lab", "group_id": 3, "email": self.server.mail.addresses.get(owner)}

    def _record(self, session: int) -> Path:
        return self.sessions_dir / f"{session}.json"

    def _join_session(self, command: Command, session: int) -> dict[str, Any]:
        server = self.server
        if not server.is_open(session) or not self._record(session).exists():
            self.holds.pop(session, None)
            return {"state": "gone", "attempts": []}
        kept = server.sessions[session]
        kept.used = server.clock.monotonic()
        kept.attempts = {held: number for held, number in kept.attempts.items() if self._process(number)}
        self.holds[session] = dict(kept.attempts)
        told = []
        for (drop, key, attempt), number in kept.attempts.items():
            phase = "committed" if server.filesets[number].committed else "begun"
            told.append({"drop": drop, "key": key, "attempt": attempt, "fileset": number, "phase": phase})
        return {"state": "joined", "attempts": told}

    def _process(self, number: int) -> bool:
        return number in self.server.filesets and self.server.filesets[number].process

    def _keep_alive(self, command: Command, session: int) -> dict[str, Any]:
        self._need(session)
        return {}

    def _session_state(self, command: Command, session: int) -> dict[str, Any]:
        return {"closed": self.server.sessions[session].closed if session in self.server.sessions else None}

    def _end_session(self, command: Command, session: int) -> dict[str, Any]:
        if not self._record(session).exists():
            if self.server.is_open(session):
                raise OutcomeUnknown("opened elsewhere", code="no-such-session")
            return {"closed": True}
        self.server.close(session)
        self._record(session).unlink()
        self.holds.pop(session, None)
        return {"closed": True}

    def _resolve(self, command: Command, session: int, group: str | None, target: dict[str, Any]) -> dict[str, Any]:
        owner = self._need(session)
        return {
            "owner": owner,
            "owner_id": 2,
            "group": "lab",
            "group_id": 3,
            "email": self.server.mail.addresses.get(owner),
            "project": None,
            "dataset": None,
        }

    def _target(self, command: Command, session: int, target: dict[str, Any]) -> dict[str, Any]:
        self._need(session)
        name = str((target.get("dataset") or {}).get("name"))
        if not self._has_target(target):
            self._make_target(target)
        return {"project": None, "dataset": self.server.targets[("lab", name)], "dataset_name": name, "made": []}

    def _has_target(self, target: dict[str, Any]) -> bool:
        return ("lab", str((target.get("dataset") or {}).get("name"))) in self.server.targets

    def _make_target(self, target: dict[str, Any]) -> None:
        name = str((target.get("dataset") or {}).get("name"))
        self.server.made.append(f"dataset {name}")
        self.server.targets.setdefault(("lab", name), len(self.server.targets) + 50)

    def _look_up(self, command: Command, session: int, submission: str) -> dict[str, Any]:
        owner, server = self._need(session), self.server
        found = [
            {"fileset": one.number, "token": one.token, "committed": one.committed, "complete": server.is_complete(one)}
            | {"images": [one.number * 10] if one.images else [], "files": []}
            | one.meta
            for one in server.filesets.values()
            if one.token.startswith(submission + "/") and one.owner == owner
        ]
        return {"attempts": found}

    def _begin(self, command: Command, session: int, token: str, meta: dict[str, Any], client_paths: list[str], **_: Any) -> dict[str, Any]:
        self._need(session)
        one = self.server.make_fileset(session, token, meta, client_paths)
        self.holds.setdefault(session, {})[one.held] = one.number
        self.server.sessions[session].attempts[one.held] = one.number
        same = [other.number for other in self.server.filesets.values() if (other.owner, other.token) == (one.owner, token)]
        return {"fileset": one.number, "beside": sorted(set(same) - {one.number})}

    def _attempt(self, command: Command, session: int) -> Stored:
        self._need(session)
        number = self.holds.get(session, {}).get((command.drop, command.key, command.attempt))
        if number is None or number not in self.server.filesets:
            raise OutcomeUnknown("not held", code="no-such-attempt")
        return self.server.filesets[number]

    def _send(self, command: Command, session: int, root: str, files: list[dict[str, Any]]) -> dict[str, Any]:
        one = self._attempt(command, session)
        told = []
        for each in files:
            try:
                data = (Path(root) / each["path"]).read_bytes()
            except OSError as error:
                raise disk_trouble(error, "reading a file") from error
            one.sizes[each["client_path"]] = len(data)
            digest = hashlib.sha1(data).hexdigest()
            one.contents.add(digest)
            told.append({"client_path": each["client_path"], "size": len(data), "sha1": digest})
        one.sent = True
        return {"files": told}

    def _commit(self, command: Command, session: int) -> dict[str, Any]:
        one = self._attempt(command, session)
        if not one.sent:
            raise TryLater("The files of this import are not all sent.", code="checksum")
        if one.committed:
            raise OutcomeUnknown("This import was started before.", code="committed-already")
        self.server.start_import(one.number)
        return {}

    def _poll(self, command: Command, session: int) -> dict[str, Any]:
        if not self.server.is_open(session):
            self.holds.pop(session, None)
            return {"state": "gone"}
        one = self._attempt(command, session)
        if not one.committed and one.process:
            return {"state": "running", "name": "no-handle"}
        if one.process and one.over_at > self.server.clock.monotonic():
            return {"state": "running", "step": 1, "steps": 5}
        told = one.answer if one.process and one.over_at < NEVER else {"state": "gone"}
        self._forget(session, one)
        return told

    def _forget(self, session: int, one: Stored) -> None:
        self.holds[session].pop(one.held, None)
        self.server.sessions[session].attempts.pop(one.held, None)

    def _confirm(self, command: Command, session: int, fileset: int, **_: Any) -> dict[str, Any]:
        self._need(session)
        one = self.server.filesets.get(fileset)
        if one is None or not one.images:
            return {"state": "none", "images": [], "problems": []}
        images = [{"id": fileset * 10, "name": one.paths[0]}]
        if not self.server.is_complete(one):
            self.server.broken.append(f"the images of the fileset {fileset} count as imported, and are half-done")
        return {"state": "complete", "images": images, "problems": []}

    def _annotate(
        self, command: Command, session: int, marker: str, on: str, objects: list[dict[str, Any]], **wanted: Any
    ) -> dict[str, Any]:
        self._need(session)
        made = self._annotations({"on": on, "objects": objects, **wanted})
        fresh = [one for one in made if one not in self.server.annotated]
        self.server.annotated += fresh
        self.server.made += fresh
        return {"made": made, "refused": []}

    @staticmethod
    def _annotations(args: dict[str, Any]) -> list[str]:
        wanted = sorted(set(args) - {"file", "session", "marker", "on", "objects"})
        return [f"{args['on']}:{one['id']} <- {name}" for one in args["objects"] for name in wanted]

    def _discard(self, command: Command, session: int, fileset: int) -> dict[str, Any]:
        self._need(session)
        self.server.remove(fileset)
        return {"gone": True}

    def _need(self, session: int) -> str:
        """The session's owner. Using a session keeps it alive."""
        if session not in self.holds:
            raise OutcomeUnknown("not held", code="no-such-session")
        kept = self.server.sessions[session]
        if kept.closed:
            self.holds.pop(session)
            raise ServerUnavailable("The OMERO session has ended.", code="session-gone")
        kept.used = self.server.clock.monotonic()
        kept.needed = True
        return kept.owner
