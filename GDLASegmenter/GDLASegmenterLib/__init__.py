"""The GDLASegmenter module's parts. Nothing is imported before the user opens the module."""
