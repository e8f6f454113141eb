"""GDLACore: PVT-GDLA segmentation of medical images, slice by slice, on a GPU or a CPU."""

__version__ = "0.1.0"
