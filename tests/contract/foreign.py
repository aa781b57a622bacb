"""omero-py and the importer, imported once: Ice's own modules warn about Python's `imp`."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import Ice
    import omero
    import omero.clients
    import omero.cmd
    import omero.grid
    import omero.model
    import omero.rtypes

    from dropbox_import.importer import worker

__all__ = ["Ice", "omero", "worker"]
