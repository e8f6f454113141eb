"""Weights out of any file, as numpy arrays: what they are called, what shapes they must have."""
