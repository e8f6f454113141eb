"""What kind of image a volume is, as far as the volume itself tells."""

from __future__ import annotations

import numpy as np

from GDLACore.imaging.volume import Volume

_KNOWN = ("CT", "MR", "US")
_SAMPLE = 64  # voxels along each axis are enough to meet air or fat

_BELOW_EVERY_MR = -500  # Hounsfield units: air and lung


def guessModality(volume: Volume) -> str:
    """Return "CT", "MR", "US" or "RGB": what DICOM said, or else what the values look like."""
    if volume.modality in _KNOWN:
        return volume.modality
    if volume.channels == 3:
        return "RGB"
    steps = tuple(slice(None, None, max(1, size // _SAMPLE)) for size in volume.shape)
    if np.min(volume.array[steps]) <= _BELOW_EVERY_MR:
        return "CT"
    isFlatPicture = 1 in volume.shape and volume.array.dtype == np.uint8
    return "US" if isFlatPicture else "MR"
