"""A server and its workers as plain objects, for tests of the daemon alone that must be quick and exact.

`Server` outlives daemons and workers, as OMERO does. `ScriptedWorkers` has the interface of
`workers.dispatcher.Workers`; it does each command at once, in the caller's thread. `Server.cut` says at
which command the worker dies, and whether that is before the effect, after it, or with the effect
landing when the client is long gone.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropbox_import.disk import files
from dropbox_import.errors import DropboxImportError, OutcomeUnknown
from dropbox_import.inspector.keys import fileset_key
from dropbox_import.model import FileFacts
from dropbox_import.plain import from_plain, to_plain
from dropbox_import.workers.protocol import Command
from dropbox_import.workers.replies import Reply

CHANGES = ("open_session", "target", "begin", "send", "commit", "annotate", "discard", "end_session")


@dataclass
class Stored:
    """One fileset on the server."""

    number: int
    session: int
    token: str
    meta: dict[str, Any]
    paths: list[str]
    sizes: dict[str, int] = field(default_factory=dict)
    committed: bool = False
    images: int = 0


class Server:
    def __init__(self) -> None:
        self.sessions: dict[int, dict[str, Any]] = {}
        self.filesets: dict[int, Stored] = {}
        self.targets: dict[tuple[str, str], int] = {}
        self.annotated: list[str] = []
        self.commands = 0
        self.cut: tuple[int, str] | None = None  # (number of the command, "before" | "after" | "late")
        self.late: list[tuple[int, Callable[[], Any]]] = []
        self.refuse: dict[str, DropboxImportError] = {}
        self._next = 100

    def number(self) -> int:
        self._next += 1
        return self._next

    def land(self) -> None:
        """Effects that were under way when their client went: they still happen, unless their session has been ended."""
        waiting, self.late = self.late, []
        for session, effect in waiting:
            if not self.sessions.get(session, {"closed": False})["closed"]:
                with contextlib.suppress(DropboxImportError, OSError):
                    effect()

    def complete(self) -> list[Stored]:
        return [one for one in self.filesets.values() if one.images]


class ScriptedWorkers:
    """Incarnations die when the server's `cut` says so; then the next command starts a new one."""

    def __init__(self, server: Server, sessions_dir: Path) -> None:
        self.server = server
        self.sessions_dir = sessions_dir
        self.incarnation = 1
        self.holds: dict[int, dict[tuple[str, str, int], int]] = {}  # session -> attempt -> fileset

    def alive(self, incarnation: int) -> bool:
        return incarnation == self.incarnation

    def submit(self, role: str, command: Command, on_reply: Callable[[Reply], None], *, alone: bool = False, worker: int | None = None) -> None:
        incarnation = self.incarnation
        if worker is not None and worker != incarnation:
            on_reply(Reply(command, None, OutcomeUnknown("gone", code="no-such-session"), "none", 0))
            return
        server = self.server
        server.commands += 1
        how = server.cut[1] if server.cut and server.cut[0] == server.commands else ""
        if command.do in server.refuse and role == "importer":
            on_reply(Reply(command, None, server.refuse[command.do], "none", incarnation))
            return
        if how == "late" and command.do in CHANGES:
            session = int(command.args.get("session") or 0)
            server.late.append((session, lambda: self._do(command)))
        elif how != "before":
            try:
                result = self._do(command)
            except DropboxImportError as error:
                on_reply(Reply(command, None, error, "none", incarnation))
                return
            if not how:
                on_reply(Reply(command, result, None, "done", incarnation))
                return
        self.incarnation += 1
        self.holds = {}
        on_reply(Reply(command, None, OutcomeUnknown("died", code="worker-died"), "unknown", incarnation, died=True, company=1))

    def _do(self, command: Command) -> dict[str, Any]:
        return dict(getattr(self, f"_{command.do}")(command, **command.args))

    # --- the commands -------------------------------------------------------------------

    def _inspect(self, command: Command, root: str, members: list[dict[str, Any]], named: list[str]) -> dict[str, Any]:
        found = [from_plain(FileFacts, one) for one in members]
        good = [one for one in found if one.path.endswith(".tif")]
        bad = [one for one in good if "bad" in one.path]
        plans = [{"key": fileset_key([one]), "files": [to_plain(one)]} for one in good if one not in bad]
        told = [{"files": [one.path], "code": "cut", "sentence": f"{one.path} is cut in half"} for one in bad]
        return {"filesets": plans, "bad": told, "extras": [one.path for one in found if one not in good]}

    def _open_session(self, command: Command, owner: str, group: str | None) -> dict[str, Any]:
        number = self.server.number()
        kept = {"owner": owner, "group": group or "lab", "closed": False}
        files.replace(self.sessions_dir / f"{number}.json", b'{"owner": "%s", "group": "lab"}' % owner.encode(), 0o600)
        self.server.sessions[number] = kept
        self.holds[number] = {}
        return {"session": number, "owner": owner, "group": kept["group"], "group_id": 3, "owner_id": 2, "email": None}

    def _join_session(self, command: Command, session: int) -> dict[str, Any]:
        if session not in self.server.sessions or self.server.sessions[session]["closed"]:
            return {"state": "gone", "attempts": []}
        mine = [one for one in self.server.filesets.values() if one.session == session]
        self.holds[session] = {self._held(one): one.number for one in mine}
        told = [
            {"drop": one.meta["drop"], "key": one.token.rpartition("/")[2], "attempt": one.meta["attempt"], "fileset": one.number}
            | {"phase": "committed" if one.committed else "begun"}
            for one in mine
        ]
        return {"state": "joined", "attempts": told}

    @staticmethod
    def _held(one: Stored) -> tuple[str, str, int]:
        return one.meta["drop"], one.token.rpartition("/")[2], one.meta["attempt"]

    def _keep_alive(self, command: Command, session: int) -> dict[str, Any]:
        return {}

    def _session_state(self, command: Command, session: int) -> dict[str, Any]:
        return {"closed": self.server.sessions[session]["closed"] if session in self.server.sessions else None}

    def _end_session(self, command: Command, session: int) -> dict[str, Any]:
        if session in self.server.sessions:
            self.server.sessions[session]["closed"] = True
        self.holds.pop(session, None)
        return {"closed": True}

    def _resolve(self, command: Command, session: int, group: str | None, target: dict[str, Any]) -> dict[str, Any]:
        self._need(session)
        return {"owner": "jdoe", "owner_id": 2, "group": "lab", "group_id": 3, "email": None, "project": None, "dataset": None}

    def _target(self, command: Command, session: int, target: dict[str, Any]) -> dict[str, Any]:
        self._need(session)
        name = str((target.get("dataset") or {}).get("name"))
        number = self.server.targets.setdefault(("lab", name), len(self.server.targets) + 50)
        return {"project": None, "dataset": number, "dataset_name": name, "made": []}

    def _look_up(self, command: Command, session: int, submission: str) -> dict[str, Any]:
        self._need(session)
        found = [
            {"fileset": one.number, "token": one.token, "committed": one.committed, "complete": one.images > 0, "images": [], "files": []}
            | one.meta
            for one in self.server.filesets.values()
            if one.token.startswith(submission + "/")
        ]
        return {"attempts": found}

    def _begin(self, command: Command, session: int, token: str, meta: dict[str, Any], client_paths: list[str], **_: Any) -> dict[str, Any]:
        self._need(session)
        one = Stored(self.server.number(), session, token, meta, client_paths)
        self.server.filesets[one.number] = one
        self.holds.setdefault(session, {})[self._held(one)] = one.number
        return {"fileset": one.number}

    def _attempt(self, command: Command, session: int) -> Stored:
        number = self.holds.get(session, {}).get((command.drop, command.key, command.attempt))
        if number is None or number not in self.server.filesets:
            raise OutcomeUnknown("not held", code="no-such-attempt")
        return self.server.filesets[number]

    def _send(self, command: Command, session: int, root: str, files: list[dict[str, Any]]) -> dict[str, Any]:
        one = self._attempt(command, session)
        told = []
        for each in files:
            data = (Path(root) / each["path"]).read_bytes()
            one.sizes[each["client_path"]] = len(data)
            told.append({"client_path": each["client_path"], "size": len(data), "sha1": hashlib.sha1(data).hexdigest()})
        return {"files": told}

    def _commit(self, command: Command, session: int) -> dict[str, Any]:
        one = self._attempt(command, session)
        assert not one.committed, "verifyUpload twice"
        assert set(one.sizes) == set(one.paths), "verifyUpload before all files were there"
        one.committed = True
        one.images += 1
        return {}

    def _poll(self, command: Command, session: int) -> dict[str, Any]:
        one = self._attempt(command, session)
        return {"state": "done" if one.images else "gone"}

    def _confirm(self, command: Command, session: int, fileset: int, **_: Any) -> dict[str, Any]:
        self._need(session)
        one = self.server.filesets.get(fileset)
        if one is None or not one.images:
            return {"state": "none", "images": [], "problems": []}
        return {"state": "complete", "images": [{"id": fileset * 10, "name": one.paths[0]}], "problems": []}

    def _annotate(self, command: Command, session: int, marker: str, on: str, objects: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
        self._need(session)
        made = [f"{on}:{one['id']} <- {name}" for one in objects for name in sorted(set(wanted) - {"file"})]
        self.server.annotated += [one for one in made if one not in self.server.annotated]
        return {"made": made, "refused": []}

    def _discard(self, command: Command, session: int, fileset: int) -> dict[str, Any]:
        self._need(session)
        one = self.server.filesets.get(fileset)
        assert one is None or not one.images, "a fileset with images was discarded"
        self.server.filesets.pop(fileset, None)
        return {"gone": True}

    def _need(self, session: int) -> None:
        if session not in self.holds:
            raise OutcomeUnknown("not held", code="no-such-session")
