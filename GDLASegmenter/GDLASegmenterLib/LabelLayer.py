"""Label images that several segments share: Slicer's layers of a segmentation.

A layer has a grid (IJK to RAS), an extent on that grid, and for each of its segments a value.
Slicer itself writes a layer as a whole; here single slices are written in place, which takes a
fraction of a millisecond and leaves other layers and surfaces alone.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from GDLASegmenterLib.Extent import EMPTY, Extent, intersection, isEmpty

LABELMAP = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()

_CLEARED_AT_ONCE = 8 << 20  # voxels


@dataclass(frozen=True, eq=False)
class LabelLayer:
    """One label image of a segmentation and, of the segments in it, those of interest by value."""

    image: slicer.vtkOrientedImageData
    segmentIDs: tuple[str, ...]

    @property
    def extent(self) -> Extent:
        return self.image.GetExtent()

    def array(self) -> np.ndarray:
        """Return the layer's memory as an array [k, j, i] that starts at its extent's corner."""
        return _array(self.image)

    @property
    def state(self) -> int:
        """A number that is another one whenever the image was changed, in place too."""
        return self.image.GetMTime()

    def isCurrent(self, segmentation) -> bool:
        """Whether its segments still are there and in this image."""
        return all(
            segmentation.GetSegment(one) is not None
            and segmentation.GetSegment(one).GetRepresentation(LABELMAP) is self.image
            for one in self.segmentIDs
        )

    def isUntouched(self, segmentation, state: int) -> bool:
        """Whether it is current, and nobody has written to it since it was in ``state``."""
        return self.isCurrent(segmentation) and self.state == state

    def others(self, segmentation) -> tuple[str, ...]:
        """Return the segments that are in the image beside its own."""
        return tuple(
            segmentID
            for segmentID in segmentation.GetSegmentIDs()
            if segmentID not in self.segmentIDs
            and segmentation.GetSegment(segmentID).GetRepresentation(LABELMAP) is self.image
        )

    def isOn(self, IJKToRAS: vtk.vtkMatrix4x4) -> bool:
        """Whether its voxels are stored in the order and place of the grid ``IJKToRAS``."""
        return np.allclose(stepsOn(self.image, IJKToRAS), np.eye(4), atol=1e-6)

    def box(self, extent: Extent) -> np.ndarray:
        """Return the part of ``array`` in ``extent``, which must be inside the layer's own."""
        return boxOf(self.array(), self.extent, extent)


def boxOf(array: np.ndarray, extent: Extent, box: Extent) -> np.ndarray:
    """Return the part in ``box`` of ``array`` [k, j, i], which covers ``extent``."""
    return array[
        tuple(
            slice(box[2 * axis] - extent[2 * axis], box[2 * axis + 1] + 1 - extent[2 * axis])
            for axis in (2, 1, 0)
        )
    ]


def layersOf(segmentation, segmentIDs: Iterable[str]) -> list[LabelLayer]:
    """Return the layers of ``segmentation`` in which ``segmentIDs`` are, each with those in it."""
    images: dict[slicer.vtkOrientedImageData, list[str]] = {}
    for segmentID in segmentIDs:
        image = segmentation.GetSegment(segmentID).GetRepresentation(LABELMAP)
        images.setdefault(image, []).append(segmentID)
    return [LabelLayer(image, tuple(found)) for image, found in images.items()]


def newImage(IJKToRAS: vtk.vtkMatrix4x4, extent: Extent, largestValue: int):
    """Return a label image of zeros on the grid ``IJKToRAS`` that can hold ``largestValue``."""
    image = _allocated(IJKToRAS, extent, largestValue)
    if not isEmpty(extent):
        _array(image)[:] = 0
    return image


def newImageInSteps(IJKToRAS: vtk.vtkMatrix4x4, extent: Extent, largestValue: int) -> Generator:
    """Return in the end what ``newImage`` returns; yield after some milliseconds' work each.

    Fresh memory costs half a millisecond per megabyte: all at once, the user would feel it.
    """
    image = _allocated(IJKToRAS, extent, largestValue)
    if not isEmpty(extent):
        voxels = _array(image).ravel()
        for start in range(0, voxels.size, _CLEARED_AT_ONCE):
            voxels[start : start + _CLEARED_AT_ONCE] = 0
            yield
    return image


def scalarType(largestValue: int) -> int:
    return vtk.VTK_UNSIGNED_CHAR if largestValue < 256 else vtk.VTK_UNSIGNED_SHORT


def putInto(segmentation, image, segmentIDs: Iterable[str]) -> LabelLayer:
    """Make ``image`` the layer of ``segmentIDs``, whose values stay, and return it."""
    segmentIDs = tuple(segmentIDs)
    if all(isSeen(layer.image) for layer in layersOf(segmentation, segmentIDs)):
        markSeen(image)
    for segmentID in segmentIDs:
        segmentation.GetSegment(segmentID).AddRepresentation(LABELMAP, image)
    return LabelLayer(image, segmentIDs)


def movedTo(segmentation, layer: LabelLayer, image) -> LabelLayer:
    """Make ``image``, zeros on the same grid, the layer: what is in both extents is kept."""
    new = LabelLayer(image, layer.segmentIDs)
    common = intersection(layer.extent, new.extent)
    if not isEmpty(common):
        new.box(common)[:] = layer.box(common)
    return putInto(segmentation, image, layer.segmentIDs)


def separatedInSteps(segmentation, layer: LabelLayer) -> Generator[None, None, None]:
    """Give ``layer``'s segments a layer of their own, which others share now.

    Not a voxel of any segment changes, but from then on they may overlap. Yields after some
    milliseconds' work each, and gives up if the user changes something meanwhile.
    """
    others = layer.others(segmentation)
    values = [segmentation.GetSegment(segmentID).GetLabelValue() for segmentID in layer.segmentIDs]
    state = layer.state
    image = yield from newImageInSteps(matrixOf(layer.image), layer.extent, max(values))
    if not layer.isUntouched(segmentation, state):
        return
    rest = None
    if not isEmpty(layer.extent):
        shared, own = layer.array().ravel(), _array(image).ravel()
        rest = np.empty_like(shared)
        for start in range(0, shared.size, _CLEARED_AT_ONCE):
            chunk = slice(start, start + _CLEARED_AT_ONCE)
            inside = _isAnyOf(shared[chunk], values)
            np.multiply(shared[chunk], inside, out=own[chunk], casting="unsafe")
            np.subtract(shared[chunk], own[chunk], out=rest[chunk], casting="unsafe")
            yield
    if not layer.isUntouched(segmentation, state):
        return
    if rest is not None:
        layer.array().ravel()[:] = rest
    putInto(segmentation, image, layer.segmentIDs)
    announce(segmentation, LabelLayer(layer.image, others))


def onGrid(segmentation, layer: LabelLayer, IJKToRAS: vtk.vtkMatrix4x4) -> LabelLayer:
    """Store the voxels of ``layer`` on the grid ``IJKToRAS``, and return the layer there is now.

    The grid must be the same but for the order in which it counts (see ``sameGrid``): so it is
    after reading a file back.
    """
    image = slicer.vtkOrientedImageData()
    if isEmpty(layer.extent):
        image = newImage(IJKToRAS, EMPTY, 1)
    else:
        reference = slicer.vtkOrientedImageData()
        reference.SetImageToWorldMatrix(IJKToRAS)
        reference.SetExtent(*extentOn(layer.image, IJKToRAS))
        slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
            layer.image, reference, image, False
        )
    return putInto(segmentation, image, layer.segmentIDs)


def sameGrid(image, IJKToRAS: vtk.vtkMatrix4x4) -> bool:
    """Return whether the voxels of ``image`` are voxels of the grid ``IJKToRAS`` too.

    They may be counted from another corner and in another order.
    """
    steps = stepsOn(image, IJKToRAS)
    whole = np.round(steps)
    return np.allclose(steps, whole, atol=1e-3) and np.array_equal(
        np.sort(np.abs(whole[:3, :3]), axis=0), [[0] * 3, [0] * 3, [1] * 3]
    )


def stepsOn(image, IJKToRAS: vtk.vtkMatrix4x4) -> np.ndarray:
    """Return the 4x4 map from indices of ``image`` to indices of the grid ``IJKToRAS``."""
    grid = slicer.util.arrayFromVTKMatrix(IJKToRAS)
    return np.linalg.inv(grid) @ slicer.util.arrayFromVTKMatrix(matrixOf(image))


def extentOn(image, IJKToRAS: vtk.vtkMatrix4x4) -> Extent:
    """Return the extent of ``image``, which is not empty, on the grid ``IJKToRAS``."""
    ends = np.ones((4, 2))
    ends[:3] = np.reshape(image.GetExtent(), (3, 2))
    corners = np.sort(np.round(stepsOn(image, IJKToRAS) @ ends)[:3].astype(int), axis=1)
    return tuple(corners.ravel().tolist())


def markSeen(image) -> None:
    """Mark ``image`` as one that was looked at: images that Undo brings back are not marked."""
    image.gdlaSeen = True  # an attribute of Python's lives as long as the image, and no copy has it


def isSeen(image) -> bool:
    return hasattr(image, "gdlaSeen")


def announce(segmentation, layer: LabelLayer) -> None:
    """Tell views, undo and storage that the voxels of ``layer`` were written in place.

    Not with the image's own Modified(): at that event the segmentation throws the surfaces of all
    segments away, others' included.
    """
    scalars = layer.image.GetPointData().GetScalars()
    if scalars is not None:
        scalars.Modified()
    for segmentID in layer.segmentIDs:
        segmentation.InvokeEvent(slicer.vtkSegmentation.SourceRepresentationModified, segmentID)
        segmentation.InvokeEvent(slicer.vtkSegmentation.RepresentationModified, segmentID)


def _isAnyOf(array: np.ndarray, values: list[int]) -> np.ndarray:
    """Return where ``array`` has one of ``values``, as 0 and 1."""
    if array.dtype != np.uint8:
        return np.isin(array, values)
    table = bytes(value in values for value in range(256))
    return np.frombuffer(array.tobytes().translate(table), np.uint8)


def _allocated(IJKToRAS: vtk.vtkMatrix4x4, extent: Extent, largestValue: int):
    image = slicer.vtkOrientedImageData()
    image.SetImageToWorldMatrix(IJKToRAS)
    image.SetExtent(*extent)
    image.AllocateScalars(scalarType(largestValue), 1)
    return image


def _array(image) -> np.ndarray:
    scalars = image.GetPointData().GetScalars()
    i, j, k = image.GetDimensions()
    return vtk_to_numpy(scalars).reshape(k, j, i)


def matrixOf(image) -> vtk.vtkMatrix4x4:
    """Return the matrix from the indices of ``image``, an oriented one, to RAS (mm)."""
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return matrix
