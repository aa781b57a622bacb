"""The untyped libraries, imported once: Ice's own modules warn about Python's `imp`."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import Glacier2
    import Ice
    import omero
    import omero.clients
    import omero.cmd
    import omero.grid
    import omero.model

    from dropbox_import.importer import discard, errors

__all__ = ["Glacier2", "Ice", "discard", "errors", "omero"]
