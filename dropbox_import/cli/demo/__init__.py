"""`demo`: the main job with real images, here and now, against the OMERO stand-in.

`scenario` says what is dropped and what must come of it, `stage` starts and stops the processes,
`mailbox` takes the mail in, `patience` says how long to wait, `checks` and `told` compare, `show` prints. Everything happens in one
folder, which is removed afterwards unless `--keep` names it.
"""

from __future__ import annotations

from dropbox_import.cli.demo.command import demo

__all__ = ["demo"]
