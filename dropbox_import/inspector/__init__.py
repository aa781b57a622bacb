"""The inspector: the only place that opens image files, and only in a process of its own.

Owns: which files of a drop belong together, whether each is whole, and what to tell people when it is not.
Promises: the same files give the same answer, so it may be repeated after any crash; no file is changed.
Never does: decode pixels, write to disk, talk to OMERO, quote a file's content in an error.
"""
