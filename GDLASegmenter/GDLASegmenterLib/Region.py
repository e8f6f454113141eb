"""A box of the user's, as the voxels of a volume that lie in it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import slicer
import slicer.util
import vtk

from GDLACore.errors import VolumeError
from GDLACore.imaging.volume import Volume
from GDLASegmenterLib.Extent import Extent


@dataclass(frozen=True, eq=False)
class Region:
    """A box that may lie aslant to the voxels: a voxel is inside if its middle is.

    ``IJKToBox`` (4x4) leads from voxels to the box's own axes in mm, from its middle.
    """

    IJKToBox: np.ndarray
    halfSize: tuple[float, float, float]

    def slices(self, axis: int, count: int) -> range:
        """Return which of ``count`` slices along array axis ``axis`` (0 = k) the box meets."""
        corners = np.ones((8, 4))
        corners[:, :3] = list(product(*((-half, half) for half in self.halfSize)))
        along = np.linalg.solve(self.IJKToBox, corners.T)[2 - axis]
        first, last = np.ceil(along.min() - 1e-6), np.floor(along.max() + 1e-6)
        return range(max(0, int(first)), min(count - 1, int(last)) + 1)

    def mask(self, extent: Extent) -> np.ndarray:
        """Return, as booleans [k, j, i], which voxels of ``extent`` are inside."""
        i0, i1, j0, j1, k0, k1 = extent
        k, j, i = np.ogrid[k0 : k1 + 1, j0 : j1 + 1, i0 : i1 + 1]
        inside = np.ones((k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1), bool)
        for (a, b, c, d), half in zip(self.IJKToBox[:3], self.halfSize, strict=True):
            inside &= np.abs(a * i + b * j + (c * k + d)) <= half + 1e-6
        return inside


def readRegion(roiNode, volume: Volume) -> Region:
    """Return the box ``roiNode`` (Markups ROI), wherever its transforms put it, in ``volume``.

    Raises VolumeError if it was not placed yet, or if no voxel of the volume is inside.
    """
    name = roiNode.GetName()
    if not roiNode.GetNumberOfControlPoints():
        raise VolumeError(
            f"{name} has not been placed yet.", "Place it around what you want to segment."
        )
    worldToBox = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Invert(roiNode.GetObjectToWorldMatrix(), worldToBox)
    IJKToBox = slicer.util.arrayFromVTKMatrix(worldToBox) @ volume.ijk_to_ras
    region = Region(IJKToBox, tuple(length / 2 for length in roiNode.GetSize()))
    if not all(region.slices(axis, volume.shape[axis]) for axis in range(3)):
        raise VolumeError(
            f"{name} and {volume.name} have no voxel in common.",
            "Move it over what you want to segment.",
        )
    return region
