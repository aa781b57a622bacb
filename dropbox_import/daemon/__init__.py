"""The daemon: one thread per box, the pipeline of a drop, sessions, outages, slots, what `status` shows.

After a crash nothing here needs to be known: journals and session files say it all. Never
imports omero, numpy or a file format; never parses a member file.
"""
