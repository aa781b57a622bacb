"""Which ready drops a claim is at already, though it could not take the sidecar yet. One box's thread."""

from __future__ import annotations

from collections.abc import Collection

from dropbox_import.model import Candidate
from dropbox_import.spool.claim import Claim


def name_of(candidate: Candidate) -> str:
    """What a drop is called before it is taken: its sidecar's path below drop/."""
    return f"{candidate.folder}/{candidate.sidecar.path}"


class Begun:
    """The claims that are still to take their sidecar, by its name.

    Where it may not be moved, the claim waits and the sidecar stays ready: without this memory each scan would begin one more.
    """

    def __init__(self) -> None:
        self._claims: dict[str, Claim] = {}

    def add(self, claim: Claim) -> None:
        if claim.drop.candidate is not None and not claim.drop.claimed:
            self._claims[name_of(claim.drop.candidate)] = claim

    def __contains__(self, name: object) -> bool:
        claim = self._claims.get(str(name))
        return claim is not None and _lacks_sidecar(claim)

    def scanned(self, ready: Collection[str]) -> None:
        """Forget those that have their sidecar, or are gone."""
        self._claims = {name: claim for name, claim in self._claims.items() if name in ready or _lacks_sidecar(claim)}


def _lacks_sidecar(claim: Claim) -> bool:
    return claim.path.is_dir() and not claim.kept_sidecar.exists()
