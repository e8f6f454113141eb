"""Volumes and their geometry: reading, slice views, intensity, resampling."""
