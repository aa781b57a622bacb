"""dropbox-import: takes images from a drop folder into OMERO, once each."""

__version__ = "0.1.0"
