"""Files of pictures, which say nothing of mm: what they have is made for screens and printers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from GDLACore.imaging.volume import Volume

_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


def is_picture(path: Path) -> bool:
    """Return whether a file's name is that of a picture: PNG, JPEG, BMP or TIFF."""
    return path.name.lower().endswith(_ENDINGS)


def without_spacing(volume: Volume) -> Volume:
    """Return ``volume`` with voxels 1 mm wide, in the same directions."""
    matrix = np.array(volume.ijk_to_ras)
    matrix[:3, :3] /= np.linalg.norm(matrix[:3, :3], axis=0)
    return replace(volume, ijk_to_ras=matrix)
