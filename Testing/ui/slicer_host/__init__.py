"""A Slicer with a user interface, without Slicer: see ``desktop.start()``."""
