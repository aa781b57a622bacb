"""Events of the file system as a hint that a scan may find something. Nothing depends on them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from watchdog.events import EVENT_TYPE_CLOSED_NO_WRITE, EVENT_TYPE_OPENED, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from dropbox_import.disk.mounts import is_network

_log = logging.getLogger(__name__)
_JOIN_SECONDS = 5.0


class _Flag(FileSystemEventHandler):
    """Calls on; an exception here would end the watcher's thread, so none gets out."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change

    def on_any_event(self, event: FileSystemEvent) -> None:
        # Our own scans open and close files for reading; hearing that would make every scan cause the next.
        if event.event_type in (EVENT_TYPE_OPENED, EVENT_TYPE_CLOSED_NO_WRITE):
            return
        try:
            self._on_change()
        except Exception:  # noqa: BLE001
            _log.exception("The answer to a file system event failed; the next scan comes at its usual time")


class Wake:
    """Calls `on_change` (from a thread of its own; it should only set a flag) when something may have changed below `paths`.

    Shares are not watched: what other machines do there gives no event. Whatever goes wrong, scans go on at their interval.
    """

    def __init__(self, paths: Iterable[Path], on_change: Callable[[], None]) -> None:
        self._paths = tuple(paths)
        self._handler = _Flag(on_change)
        self._observer: BaseObserver | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin (again). A folder that cannot be watched is told in the log, once for each start."""
        self.stop()
        watched = [path for path in self._paths if not is_network(path)]
        if not watched:
            return
        observer = Observer()
        try:
            for path in watched:
                observer.schedule(self._handler, str(path), recursive=True)
            observer.start()
        except (OSError, RuntimeError) as error:
            # ENOSPC and EMFILE: the system's limit of watches is reached.
            _log.warning("Changes cannot be watched (%s); new files are found at the next scan instead", error)
            _end(observer)
            return
        with self._lock:
            self._observer = observer

    def stop(self) -> None:
        """May be called at any time, and twice."""
        with self._lock:
            observer, self._observer = self._observer, None
        if observer is not None:
            _end(observer)

    def healthy(self) -> bool:
        """True while every local path is watched; false where none is.

        A watcher can die behind an observer that says it is alive, so its parts are asked.
        """
        with self._lock:
            observer = self._observer
        if observer is None:
            return False
        emitters = list(observer.emitters)
        return bool(emitters) and all(part is None or part.is_alive() for part in (observer, _reader(observer), *emitters))


def _reader(observer: BaseObserver) -> threading.Thread | None:
    """The thread in which the library reads events for its emitters, on Linux; they outlive it, and hear nothing then."""
    return getattr(observer, "_inotify_fd", None)


def _end(observer: BaseObserver) -> None:
    reader = _reader(observer)
    if reader is not None and not reader.is_alive():
        # It dies when the library (7.1) loses count of folders that left and were made anew. Letting go of them would fail in the same way.
        for group in (getattr(emitter, "_inotify", None) for emitter in observer.emitters):
            if group is not None:
                group._active_callbacks_by_watch.clear()
    try:
        observer.stop()
        if observer.is_alive():
            observer.join(_JOIN_SECONDS)
    except (OSError, RuntimeError) as error:
        _log.debug("Ending the watcher: %s", error)
