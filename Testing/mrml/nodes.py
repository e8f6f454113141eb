"""Nodes to test with, made in the scene as Slicer's own modules make them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import vtk_to_numpy

_IDENTITY = np.eye(4)


# Volumes


def add_volume(
    array: np.ndarray, ijk_to_ras: np.ndarray = _IDENTITY, name: str = "CT"
) -> slicer.vtkMRMLScalarVolumeNode:
    """Add a grey volume [k, j, i]; ``ijk_to_ras`` (4x4, mm) may be left-handed."""
    return slicer.util.addVolumeFromArray(array, ijk_to_ras, name)


def add_color_volume(
    array: np.ndarray, ijk_to_ras: np.ndarray = _IDENTITY, name: str = "photograph"
) -> slicer.vtkMRMLVectorVolumeNode:
    """Add a colour volume [k, j, i, c], c = 3 for RGB and 4 for RGBA."""
    return slicer.util.addVolumeFromArray(array, ijk_to_ras, name, "vtkMRMLVectorVolumeNode")


def add_label_map(
    array: np.ndarray, ijk_to_ras: np.ndarray = _IDENTITY, name: str = "labels"
) -> slicer.vtkMRMLLabelMapVolumeNode:
    return slicer.util.addVolumeFromArray(array, ijk_to_ras, name, "vtkMRMLLabelMapVolumeNode")


# Transforms


def add_linear_transform(to_parent: np.ndarray) -> slicer.vtkMRMLLinearTransformNode:
    """Add the transform with the matrix ``to_parent`` (4x4, mm)."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(to_parent))
    return node


def add_grid_transform(displacement: float = 5.0) -> slicer.vtkMRMLGridTransformNode:
    """Add a displacement field: points near the origin move by up to ``displacement`` mm."""
    transform = slicer.vtkOrientedGridTransform()
    transform.SetDisplacementGridData(_bump(displacement))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode")
    node.SetAndObserveTransformFromParent(transform)
    return node


def add_bspline_transform(displacement: float = 5.0) -> slicer.vtkMRMLBSplineTransformNode:
    """Add a B-spline: points near the origin move by up to ``displacement`` mm."""
    transform = slicer.vtkOrientedBSplineTransform()
    transform.SetCoefficientData(_bump(displacement))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
    node.SetAndObserveTransformFromParent(transform)
    return node


def _bump(displacement: float) -> vtk.vtkImageData:
    """Return vectors 50 mm apart, all zero but for the one at the origin."""
    field = vtk.vtkImageData()
    field.SetDimensions(7, 7, 7)
    field.SetOrigin(-150, -150, -150)
    field.SetSpacing(50, 50, 50)
    field.AllocateScalars(vtk.VTK_DOUBLE, 3)
    vectors = vtk_to_numpy(field.GetPointData().GetScalars()).reshape(7, 7, 7, 3)
    vectors[:] = 0
    vectors[3, 3, 3] = (displacement, displacement / 2, -displacement)
    return field


# Regions, series and folders


def add_roi(
    center: Sequence[float], size: Sequence[float], name: str = "ROI"
) -> slicer.vtkMRMLMarkupsROINode:
    """Add a box of ``size`` mm along its own axes around ``center`` (RAS)."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", name)
    node.SetCenter(center)
    node.SetSize(size)
    return node


def add_volume_sequence(
    frames: Sequence[np.ndarray], ijk_to_ras: np.ndarray = _IDENTITY, name: str = "4D"
) -> tuple[slicer.vtkMRMLSequenceBrowserNode, slicer.vtkMRMLScalarVolumeNode]:
    """Add a sequence of volumes [k, j, i], and return its browser and the volume it shows."""
    scene = slicer.mrmlScene
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", f"{name} sequence")
    sequence.SetIndexName("time")
    sequence.SetIndexUnit("s")
    for time, frame in enumerate(frames):
        volume = add_volume(frame, ijk_to_ras, name)
        sequence.SetDataNodeAtValue(volume, str(time))
        scene.RemoveNode(volume)
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", f"{name} browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    return browser, browser.GetProxyNode(sequence)


def put_into_study(node: slicer.vtkMRMLNode) -> int:
    """Put ``node`` into a new folder of a study of a patient, and return the folder's item."""
    tree = slicer.mrmlScene.GetSubjectHierarchyNode()
    patient = tree.CreateSubjectItem(tree.GetSceneItemID(), "patient")
    study = tree.CreateStudyItem(patient, "study")
    folder = tree.CreateFolderItem(study, "folder")
    tree.SetItemParent(tree.GetItemByDataNode(node), folder)
    return folder


# Segmentations


def add_segmentation(
    volume: slicer.vtkMRMLVolumeNode, masks: dict[str, np.ndarray], name: str = "manual"
) -> slicer.vtkMRMLSegmentationNode:
    """Add a segmentation of ``volume`` whose segments were drawn by hand, as in Segment Editor.

    ``masks`` are booleans [k, j, i] on the volume's grid by the segments' names. They come into
    one shared layer unless they overlap.
    """
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    for segment_name, mask in masks.items():
        add_segment(node, volume, segment_name, mask)
    return node


def add_segment(
    node: slicer.vtkMRMLSegmentationNode,
    volume: slicer.vtkMRMLVolumeNode,
    name: str,
    mask: np.ndarray,
) -> str:
    """Add a segment drawn by hand, in the shared layer unless it overlaps; return its ID."""
    segment_id = node.GetSegmentation().AddEmptySegment("", name)
    paint(node, volume, segment_id, mask)
    return segment_id


def paint(
    node: slicer.vtkMRMLSegmentationNode,
    volume: slicer.vtkMRMLVolumeNode,
    segment_id: str,
    mask: np.ndarray,
    mode: int = slicer.vtkSlicerSegmentationsModuleLogic.MODE_REPLACE,
) -> None:
    """Make ``mask`` [k, j, i] the segment, or add it (MODE_MERGE_MAX), as Segment Editor does."""
    image = slicer.vtkOrientedImageData()
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    image.SetImageToWorldMatrix(matrix)
    k, j, i = mask.shape
    image.SetDimensions(i, j, k)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    vtk_to_numpy(image.GetPointData().GetScalars())[:] = mask.ravel()
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert logic.SetBinaryLabelmapToSegment(image, node, segment_id, mode)


def separate_layers(node: slicer.vtkMRMLSegmentationNode) -> None:
    """Give every segment a layer of its own, as other programs write them."""
    segmentation = node.GetSegmentation()
    for segment_id in segmentation.GetSegmentIDs():
        segmentation.SeparateSegmentLabelmap(segment_id)


def show_surfaces(node: slicer.vtkMRMLSegmentationNode) -> None:
    """Do what the button "Show 3D" does."""
    assert node.CreateClosedSurfaceRepresentation()
    surface = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
    node.GetDisplayNode().SetPreferredDisplayRepresentationName3D(surface)
    node.GetDisplayNode().SetVisibility3D(True)
