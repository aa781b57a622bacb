"""Claims on disk: layout, claiming, journal, the fold over it, `next_steps`, filing, instance identity.

Promises after a crash: every claim can be read back from its own folder; the next step
follows from the journal and the disk alone; no user's byte is overwritten or deleted.
Never talks to OMERO, never opens an image, never starts a process.
"""
