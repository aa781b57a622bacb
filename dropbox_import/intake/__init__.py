"""Which drops are ready to be taken: watching, scanning, pairing sidecars with their files, the ready test.

Owns: what a scan of the drop folders sees and remembers between scans (in memory only), and the rules by which a
file is a sidecar, a member or a reference.
Promises after a crash: nothing to promise; it changes nothing on the disk, and a new scan begins from nothing (every
quiet time then starts again).
Never: moves or changes a file, decides by comparing a file's time with our clock, or believes an event: the watcher
only makes the next scan come sooner.
"""

from __future__ import annotations

from dropbox_import.intake.scan import Intake, Scan
from dropbox_import.intake.watch import Wake

__all__ = ["Intake", "Scan", "Wake"]
