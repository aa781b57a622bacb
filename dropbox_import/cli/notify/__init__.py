"""`notify`: messages to people, as an administrator looks after them.

`command` is what is typed, `found` reads the outboxes, `why` says what each thing waits for, `words` tells of a single one, `change`
changes them, `beside` asks a notifier worker, `state` is what `status` tells of all this.
"""

from __future__ import annotations

from dropbox_import.cli.notify.command import notify

__all__ = ["notify"]
