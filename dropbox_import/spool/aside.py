"""Setting a drop aside, by order of an administrator: out of the way, as it is, with nothing deleted."""

from __future__ import annotations

import re
from pathlib import Path

from dropbox_import.spool.layout import Layout
from dropbox_import.spool.reopen import as_filed, put_aside

_NUMBER = re.compile(r"(?<=[a-z2-7]{10})-\d+$")


def set_aside(box: Layout, path: Path, key: bytes) -> Path:
    """Move a claim or a filed folder to discarded/, which only the service account may enter. Returns its new place. Raises OSError.

    A claim that is moved back into inprogress/ goes on where it was. A filed folder that is not, by its journal, what the holder of
    `key` filed in its place gets a name that none is filed by (`...-0`), since in discarded/ nothing else tells where it lay.
    """
    strange = box.inprogress not in path.parents and not as_filed(box, path, key)
    return put_aside(box, path, f"{_NUMBER.sub('', path.name)}-0" if strange else path.name)
