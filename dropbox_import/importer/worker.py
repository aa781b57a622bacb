"""One handler for each command of docs/worker-protocol.md, and what the importer process holds between them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dropbox_import.clock import Clock
from dropbox_import.errors import ConfigError, DropboxImportError, OutcomeUnknown, ServerUnavailable
from dropbox_import.importer import processing, sessions
from dropbox_import.importer.annotate import KINDS, Bearer, comments, key_values, rating, tags
from dropbox_import.importer.attachments import FileToAttach, attach
from dropbox_import.importer.attempts import Attempt
from dropbox_import.importer.check import check
from dropbox_import.importer.confirm import Wanted, confirm
from dropbox_import.importer.connection import ServerConfig
from dropbox_import.importer.discard import discard
from dropbox_import.importer.errors import WAITS, effect_of, with_effect
from dropbox_import.importer.fileset import NewFileset, begin, look_up
from dropbox_import.importer.people import address_of
from dropbox_import.importer.records import Sent
from dropbox_import.importer.resolve import resolve
from dropbox_import.importer.sessions import OwnerSession
from dropbox_import.importer.target import find_or_make
from dropbox_import.importer.texts import Pictured, rename
from dropbox_import.importer.turns import Turns
from dropbox_import.importer.upload import FileToSend, send
from dropbox_import.model import ImageRule, KeyValues, Tag, Target
from dropbox_import.plain import from_plain
from dropbox_import.workers.serve import Job

Handler = Callable[[Job], dict[str, Any]]


class Importer:
    """Commands of several drops run at once in threads; those on one attempt one after the other."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._config: ServerConfig | None = None
        self._sessions: dict[int, OwnerSession] = {}
        self._making: dict[tuple[str, int], Turns] = {}
        self._lock = threading.Lock()

    def handlers(self) -> Mapping[str, Handler]:
        names = (
            "configure check who_is open_session join_session keep_alive session_state end_session resolve target look_up begin send"
            " commit poll confirm annotate discard cancel"
        )
        return {name: getattr(self, name) for name in names.split()}

    # --- the server and its sessions ---

    def configure(self, job: Job) -> dict[str, Any]:
        self._config = ServerConfig.from_args(job.args)
        return {}

    def check(self, job: Job) -> dict[str, Any]:
        job.in_call("check")
        return check(self._server(), self._clock)

    def who_is(self, job: Job) -> dict[str, Any]:
        job.in_call("who_is")
        return {"email": address_of(self._server(), job.args["owner"])}

    def open_session(self, job: Job) -> dict[str, Any]:
        job.in_call("open_session")
        session = sessions.open_session(self._server(), self._clock, job.args["owner"], job.args.get("group"))
        record = session.record
        self._keep(session)
        who = {
            "owner": record.owner,
            "owner_id": record.owner_id,
            "group": record.group,
            "group_id": record.group_id,
            "email": record.email,
        }
        return {"session": record.number, **who}

    def join_session(self, job: Job) -> dict[str, Any]:
        number = int(job.args["session"])
        job.in_call("join_session")
        with self._lock:
            session = self._sessions.get(number)
        if session is not None:
            alive = session.is_alive()
        else:
            session = sessions.join_session(self._server(), self._clock, number)
            alive = session is not None
        if session is None or not alive:
            with self._lock:
                self._sessions.pop(number, None)
            return {"state": "gone", "attempts": []}
        self._keep(session)
        return {"state": "joined", "attempts": session.phases()}

    def keep_alive(self, job: Job) -> dict[str, Any]:
        job.in_call("keep_alive")
        with self._session(job) as session:
            session.keep_alive()
        return {}

    def session_state(self, job: Job) -> dict[str, Any]:
        job.in_call("session_state")
        return {"closed": sessions.session_state(self._server(), int(job.args["session"]))}

    def end_session(self, job: Job) -> dict[str, Any]:
        number = int(job.args["session"])
        job.in_call("end_session")
        sessions.end_session(self._server(), number)
        with self._lock:
            session = self._sessions.pop(number, None)
        if session is not None:
            session.close()
        return {"closed": True}

    # --- the target ---

    def resolve(self, job: Job) -> dict[str, Any]:
        job.in_call("resolve")
        with self._session(job) as session:
            place = resolve(session, job.args.get("group"), _target(job))
            record = session.record
            return {
                "owner": record.owner,
                "owner_id": record.owner_id,
                "group": place.group.name,
                "group_id": place.group.id,
                "email": record.email,
                "project": place.project,
                "dataset": place.dataset,
                "project_name": place.project_name,
                "dataset_name": place.dataset_name,
                "notices": list(place.notices),
            }

    def target(self, job: Job) -> dict[str, Any]:
        job.in_call("target")
        with self._session(job) as session:
            return {**asdict(found := find_or_make(session, _target(job))), "made": list(found.made)}

    # --- one fileset ---

    def look_up(self, job: Job) -> dict[str, Any]:
        job.in_call("look_up")
        with self._session(job) as session:
            return {"attempts": look_up(session, job.args["submission"], job)}

    def begin(self, job: Job) -> dict[str, Any]:
        args = job.args
        job.in_call("begin")
        with self._session(job) as session:
            wanted = NewFileset(
                args["token"],
                args["meta"],
                args["client_paths"],
                args.get("dataset"),
                args.get("name"),
                args.get("description"),
                args.get("reader"),
            )
            attempt, beside = begin(session, (job.drop, job.key, job.attempt), wanted)
            return {"fileset": attempt.fileset, "beside": beside}

    def send(self, job: Job) -> dict[str, Any]:
        files = [FileToSend.from_args(each) for each in job.args["files"]]
        with self._attempt(job) as (session, attempt):
            return {"files": [asdict(each) for each in send(session, attempt, Path(job.args["root"]), files, job)]}

    def commit(self, job: Job) -> dict[str, Any]:
        with self._attempt(job) as (session, attempt):
            processing.commit(session, attempt, job)
        return {}

    def poll(self, job: Job) -> dict[str, Any]:
        job.in_call("poll")
        try:
            with self._attempt(job) as (session, attempt):
                return processing.poll(session, attempt)
        except ServerUnavailable as error:
            if error.kind != "session-gone":
                raise
            return processing.gone()

    def confirm(self, job: Job) -> dict[str, Any]:
        args = job.args
        job.in_call("confirm")
        files = tuple(Sent(each["client_path"], each["size"], each.get("sha1") or "") for each in args.get("files") or ())
        with self._session(job) as session:
            return confirm(session, args["fileset"], Wanted(args["owner"], args["group"], args.get("dataset"), files))

    def annotate(self, job: Job) -> dict[str, Any]:
        args = job.args
        job.in_call("annotate")
        images = [Pictured.from_args(each) for each in args["objects"]]
        blocks = [from_plain(KeyValues, each) for each in args.get("key_values") or ()]
        with self._session(job) as session:
            bearer = Bearer(session, KINDS[args["on"]], [each.id for each in images], args["marker"], job)
            if args.get("image") and args["on"] == "image":
                rename(bearer, from_plain(ImageRule, args["image"]), images)
            key_values(bearer, [each for each in blocks if each.on == args["on"]])
            tags(bearer, [from_plain(Tag, each) for each in args.get("tags") or ()])
            comments(bearer, args.get("comments") or ())
            if args.get("rating"):
                rating(bearer, int(args["rating"]))
            attach(bearer, [FileToAttach.from_args(each) for each in args.get("attachments") or ()])
            return {"made": bearer.made, "refused": bearer.refused}

    def discard(self, job: Job) -> dict[str, Any]:
        fileset = int(job.args["fileset"])
        job.in_call("discard")
        with self._session(job) as session:
            for attempt in [each for each in session.attempts.values() if each.fileset == fileset]:
                processing.cancel(session, attempt)
            discard(session, fileset)
        return {"gone": True}

    def cancel(self, job: Job) -> dict[str, Any]:
        job.in_call("cancel")
        with self._session(job) as session:
            processing.cancel(session, session.attempt((job.drop, job.key, job.attempt)))
        return {}

    # --- what commands stand on ---

    def _server(self) -> ServerConfig:
        if self._config is None:
            raise ConfigError(
                "The importer was not told where OMERO is.", hint="Please report this fault of the program.", code="not-configured"
            )
        return self._config

    def _keep(self, session: OwnerSession) -> None:
        """All sessions of an owner in a group look for and make things one after the other."""
        with self._lock:
            self._sessions[session.record.number] = session
            session.making = self._making.setdefault((session.record.owner, session.record.group_id), session.making)

    @contextmanager
    def _session(self, job: Job) -> Iterator[OwnerSession]:
        """The session of the command. After a lost connection the next command connects to it again."""
        with self._lock:
            session = self._sessions.get(int(job.args["session"]))
        if session is None:
            raise OutcomeUnknown("This worker does not hold that OMERO session.", hint=WAITS, code="no-such-session")
        if session.lost is not None and not session.recover(session.lost):
            raise gone()
        with session.in_use(job, job.do) as used:
            try:
                yield session
            except DropboxImportError as error:
                session.failed(used, error.kind)
                if error.kind == "session-gone":
                    raise (_reconnected(error) if session.recover(used) else gone()) from None
                raise

    @contextmanager
    def _attempt(self, job: Job) -> Iterator[tuple[OwnerSession, Attempt]]:
        with self._session(job) as session:
            attempt = session.attempt((job.drop, job.key, job.attempt))
            with attempt.lock:
                yield session, attempt


def gone() -> DropboxImportError:
    return ServerUnavailable("The OMERO session has ended.", hint=WAITS, code="session-gone")


def _reconnected(error: DropboxImportError) -> DropboxImportError:
    again = ServerUnavailable("The connection to OMERO was lost, and made again.", hint=WAITS, code="connection-lost")
    return with_effect(again, effect_of(error))


def _target(job: Job) -> Target:
    return from_plain(Target, job.args.get("target") or {})
