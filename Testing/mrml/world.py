"""Where in the patient voxels are, as Slicer's own nodes and transforms say."""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util
import vtk
from anatomy import distance_to_surfaces, labels_at
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy


def voxel_positions(volume: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    """Return [k, j, i, 3]: where in the world (RAS, mm) the middle of every voxel is."""
    i, j, k = volume.GetImageData().GetDimensions()
    kji = np.stack(np.meshgrid(range(k), range(j), range(i), indexing="ij"), axis=-1)
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return _to_world(_apply(matrix, kji[..., ::-1]), volume)


def segment_positions(node: slicer.vtkMRMLSegmentationNode, segment_id: str) -> np.ndarray:
    """Return [n, 3]: where in the world (RAS, mm) the middles of the segment's voxels are."""
    image = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation(segment_id, image)
    if image.IsEmpty():
        return np.zeros((0, 3))
    i0, i1, j0, j1, k0, k1 = image.GetExtent()
    voxels = vtk_to_numpy(image.GetPointData().GetScalars())
    kji = np.argwhere(voxels.reshape(k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1))
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)  # of the segmentation node, which may have a transform
    return _to_world(_apply(matrix, kji[:, ::-1] + (i0, j0, k0)), node)


def scan(volume: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    """Write into every voxel of ``volume`` the label of what is there in the patient; return them.

    The labels [k, j, i] are the volume's values, so that whoever reads it can segment it.
    """
    positions = voxel_positions(volume)
    assert distance_to_surfaces(positions).min() > 1e-4, "a voxel is on a border: move the grid"
    array = slicer.util.arrayFromVolume(volume)
    array[:] = labels_at(positions)
    slicer.util.arrayFromVolumeModified(volume)
    return array.copy()


def check_segments(
    node: slicer.vtkMRMLSegmentationNode, names: dict[int, str], expected: np.ndarray
) -> None:
    """Raise AssertionError unless every voxel that ``scan`` labelled is in its segment, in place.

    ``names`` are the segments' names by label, and ``expected`` the labels that ``scan`` returned.
    """
    segmentation = node.GetSegmentation()
    for label, name in names.items():
        positions = segment_positions(node, segmentation.GetSegmentIdBySegmentName(name))
        assert len(positions) == np.count_nonzero(expected == label), name
        assert (labels_at(positions) == label).all(), name


def _apply(matrix: vtk.vtkMatrix4x4, ijk: np.ndarray) -> np.ndarray:
    affine = slicer.util.arrayFromVTKMatrix(matrix)
    return ijk @ affine[:3, :3].T + affine[:3, 3]


def _to_world(points: np.ndarray, node: slicer.vtkMRMLTransformableNode) -> np.ndarray:
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(
        node.GetParentTransformNode(), None, transform
    )
    before, after = vtk.vtkPoints(), vtk.vtkPoints()
    before.SetDataTypeToDouble()
    after.SetDataTypeToDouble()
    before.SetData(numpy_to_vtk(np.ascontiguousarray(points.reshape(-1, 3)), deep=True))
    transform.TransformPoints(before, after)
    return vtk_to_numpy(after.GetData()).reshape(points.shape).copy()
