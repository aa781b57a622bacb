"""The child processes that open image files (inspector) and talk to OMERO (importer), and the one place that gives them work.

Owns: the wire protocol (`protocol`), the main loop inside a child (`serve`), one child process seen from the daemon (`child`, `tree`,
`locks`, `relay`), and who works on what (`dispatcher`, `crew`, `limits`, `replies`).

Promises: every command that is submitted is answered exactly once, also when its worker dies, hangs or is stopped. A worker ends when
the daemon does; one that cannot is found and killed by the next daemon. After a crash of the daemon nothing here needs repair.

Never: decides about a drop, writes a journal, sees a secret, or imports OMERO, numpy or a file format.

This file imports nothing, because `serve` runs in the children and must stay light.
"""
