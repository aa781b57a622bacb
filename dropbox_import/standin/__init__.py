"""The OMERO stand-in: a real Ice server that OMERO's own Python client logs in to.

Owns: everything below the folder given with `--dir`: the rows (SQLite), the bytes of the managed repository, its own
certificate, the log of calls and the faults wanted by a test.
Promises: rows and files survive `kill -9`; sessions do not, as with a real server. What it does not know, it refuses loudly.
Never: listens beyond this computer unless told to; answers a question that a real OMERO would not answer.
Every behaviour names where it is known from: see `sources`.
"""
