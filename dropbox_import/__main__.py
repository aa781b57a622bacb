"""`python -m dropbox_import` is the command `dropbox-import`."""

from __future__ import annotations

from dropbox_import.cli import main

if __name__ == "__main__":
    main()
