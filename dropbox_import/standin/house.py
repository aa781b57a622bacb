"""Everything that servants share: where things are kept, who is who, which sessions are open."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dropbox_import.standin.faults import Faults
from dropbox_import.standin.store import Store

if TYPE_CHECKING:
    from dropbox_import.standin.servants import Registry
    from dropbox_import.standin.sessions import Session, Sessions

VERSION = "5.6.17"


@dataclass(slots=True)
class House:
    """One running stand-in. `files` is the root of the managed repository, `attachments` that of other original files."""

    folder: Path
    store: Store
    faults: Faults
    repository: str
    registry: Registry = field(init=False)
    sessions: Sessions = field(init=False)
    repository_proxy: Any = None
    tcp_port: int = 0
    imports: list[Any] = field(default_factory=list)
    clients: dict[str, Session] = field(default_factory=dict)

    def clients_of(self, session: Session) -> list[str]:
        """The categories of the clients that are in a session now."""
        return [f"session-{client}" for client, found in list(self.clients.items()) if found is session]

    @property
    def files(self) -> Path:
        return self.folder / "ManagedRepository"

    @property
    def attachments(self) -> Path:
        return self.folder / "Files"
