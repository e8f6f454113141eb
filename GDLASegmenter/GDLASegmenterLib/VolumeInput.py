"""From a volume node to what the backend segments, without copying or turning a voxel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
import slicer.util
import vtk

from GDLACore.errors import VolumeError
from GDLACore.imaging.volume import Volume


@dataclass(frozen=True)
class VolumeState:
    """What a result depends on: if it changed during the computation, so would the result."""

    imageModifiedTime: int  # another one for every image, and whenever one is changed
    IJKToWorld: tuple[float, ...]


def readVolume(volumeNode) -> Volume:
    """Return the voxels and the geometry of ``volumeNode`` for the backend.

    The array [k, j, i] (or [k, j, i, c], c = 3) is a view of the node's own memory, and its
    ``ijk_to_ras`` leads to the patient as the slice views show it: parent transforms included.
    An alpha channel is left out.

    Raises VolumeError for a node without gray values or colors, for label maps, and for a volume
    under a transform that is not linear.
    """
    name = volumeNode.GetName()
    _checkKind(volumeNode, name)
    array = slicer.util.arrayFromVolume(volumeNode)
    if array.ndim == 4 and array.shape[3] == 4:
        array = array[..., :3]
    return Volume(array, IJKToWorldMatrix(volumeNode), name, _modality(volumeNode))


def volumeState(volumeNode) -> VolumeState:
    """Return the state that ``volumeNode`` is in; equal states give equal results."""
    imageData = volumeNode.GetImageData()
    return VolumeState(
        imageData.GetMTime() if imageData else 0,
        tuple(IJKToWorldMatrix(volumeNode).ravel()),
    )


def IJKToWorldMatrix(volumeNode) -> np.ndarray:
    """Return the 4x4 matrix (mm) from voxels of ``volumeNode`` to RAS, parent transforms included.

    Raises VolumeError if a parent transform is not linear.
    """
    matrix = IJKToRASMatrix(volumeNode)
    transformNode = volumeNode.GetParentTransformNode()
    if transformNode is not None:
        if not transformNode.IsTransformToWorldLinear():
            raise VolumeError(
                f"{volumeNode.GetName()} is under the transform {transformNode.GetName()}, which "
                "bends it: slices of it are no planes in the patient.",
                "Harden the transform on a copy of the volume (Data module, right-click the "
                "transform) and segment the copy, or take the volume out of the transform.",
            )
        toWorld = vtk.vtkMatrix4x4()
        transformNode.GetMatrixTransformToWorld(toWorld)
        vtk.vtkMatrix4x4.Multiply4x4(toWorld, matrix, matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def IJKToRASMatrix(volumeNode) -> vtk.vtkMatrix4x4:
    """Return the matrix from the voxels as they are stored, counted from 0, to the node's RAS.

    Slicer counts from where the image's extent begins, which some filters leave above 0.
    """
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    if imageData := volumeNode.GetImageData():
        corner = matrix.MultiplyPoint([*imageData.GetExtent()[::2], 1])
        for row in range(3):
            matrix.SetElement(row, 3, corner[row])
    return matrix


def _checkKind(volumeNode, name: str) -> None:
    if volumeNode.IsA("vtkMRMLLabelMapVolumeNode"):
        raise VolumeError(
            f"{name} is a label map, not an image.", "Choose the image it was made from."
        )
    imageData = volumeNode.GetImageData()
    if imageData is None or imageData.GetPointData().GetScalars() is None:
        raise VolumeError(
            f"{name} holds no gray values or colors.", "Load it again, or choose another volume."
        )


def _modality(volumeNode) -> str | None:
    """Return the DICOM modality that the importer noted in the subject hierarchy, if any."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(volumeNode.GetScene())
    if hierarchy is None:
        return None
    item = hierarchy.GetItemByDataNode(volumeNode)
    attribute = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMSeriesModalityAttributeName()
    return hierarchy.GetItemAttribute(item, attribute) or None if item else None
