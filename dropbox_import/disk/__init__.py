"""Every change that the product makes on a disk, and every question about one that depends on the system.

Owns: making, renaming, writing, syncing, sealing; facts about files that were judged on open descriptors;
"is somebody still writing?"; which names may be members; which volume is a share.
Promises after a crash: a function that says it syncs has either not happened or has happened whole; a leftover
of an unfinished `replace` is a hidden `.<name>.new` that the next `replace` removes. Nothing is ever overwritten
but by `replace`, on files of ours.
Never: decides what to do next, reads the clock, or follows a symbolic link below a folder that users can write.
"""
