"""The importer: the only part that talks to OMERO, in a process of its own.

Owns the connection, owner and target, the fileset, its upload, the look-up by token and
the annotations. After a crash: nothing here remembers anything but the session files in
`sessions_dir`; every command can be asked again after a look-up. Never: a decision about
what comes next (the daemon decides), a secret in a text, an upload outside the session
that began it.
"""
