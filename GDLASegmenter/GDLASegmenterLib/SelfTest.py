"""The self-test: the demonstration model on the sample, by a worker of its own, in any scene."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from GDLACore.imaging.reading import read_labels, read_volume
from GDLACore.installation import installed_builds
from GDLACore.model.catalogue import find
from GDLACore.resources import resource_path
from GDLACore.worker import ModelRequest
from GDLASegmenterLib.Folders import runtimeFolder
from GDLASegmenterLib.ModelRecord import recordsOf
from GDLASegmenterLib.ReviewedSlices import ReviewedSlices
from GDLASegmenterLib.SampleCT import loadSampleCT
from GDLASegmenterLib.SegmentationLogic import SegmentationLogic
from GDLASegmenterLib.SegmentationRequest import SegmentationRequest
from GDLASegmenterLib.VolumeGrid import volumeGrid
from GDLASegmenterLib.WorkerHost import WorkerHost

_CARD = find("demo-ct").card
_SLICES = range(8, 12)
_AGAIN = range(8, 10)
_LIVER_IN_REFERENCE = 5
_LEAST_DICE = 0.9  # of the liver; a slice that is mirrored, turned or shifted has far less
_DEADLINE_S = 180


def runSelfTest(test) -> None:
    """Segment four slices, correct them, segment two of them again, undo, and tidy up.

    ``test`` is the ScriptedLoadableModuleTest. It is skipped where ONNX Runtime is missing, since
    nothing is installed without asking. The scene is left as it was.
    """
    packages = runtimeFolder().packages
    if packages is None and not installed_builds():
        test.skipTest("ONNX Runtime is not installed: segment once in the module, then test again.")
    filesBefore = _sessionFolders()
    (volumeNode,) = loadSampleCT()
    history = slicer.vtkSegmentationHistory()
    logic = SegmentationLogic(
        WorkerHost(lambda: packages), slicer.mrmlScene, lambda node: history.SaveState()
    )
    try:
        node = _testNewSegmentation(test, logic, volumeNode)
        history.SetSegmentation(node.GetSegmentation())
        _testAgainAndUndo(test, logic, volumeNode, node, history)
    finally:
        history.SetSegmentation(None)
        node = logic.run.segmentationNode if logic.run is not None else None
        logic.cleanup()
        _remove(node)
        _remove(volumeNode)
    test.assertEqual(_sessionFolders(), filesBefore, "the worker left files")


def _testNewSegmentation(test, logic: SegmentationLogic, volumeNode):
    """Return the segmentation of a few slices, found to be where the organs are, and only there."""
    node = _segment(test, logic, volumeNode, _SLICES)
    structures = _structures(node, volumeNode)
    test.assertEqual(list(structures), [label.name for label in _CARD.labels])
    for name, voxels in structures.items():
        outside = np.delete(voxels, _SLICES, axis=0)
        test.assertFalse(outside.any(), f"{name} is outside the range")
    liver = structures["Liver"][_SLICES]
    expected = _referenceLiver()[_SLICES]
    dice = 2 * np.count_nonzero(liver & expected) / (liver.sum() + expected.sum())
    test.assertGreater(dice, _LEAST_DICE, "the liver is not where it belongs")
    return node


def _testAgainAndUndo(test, logic, volumeNode, node, history) -> None:
    """Erase by hand in and outside of the next range, segment again, and undo that."""
    whole = _structures(node, volumeNode)["Liver"]
    erased = whole.copy()
    erased[[_SLICES[0], _SLICES[-1]]] = False
    _replaceLiver(node, volumeNode, erased)
    before = _structures(node, volumeNode)
    np.testing.assert_array_equal(before["Liver"], erased)
    _letRunsChange(test, node, volumeNode)

    test.assertIs(_segment(test, logic, volumeNode, _AGAIN, node), node)
    expected = whole.copy()
    expected[_SLICES[-1]] = False
    np.testing.assert_array_equal(_structures(node, volumeNode)["Liver"], expected)

    test.assertTrue(history.IsRestorePreviousStateAvailable(), "there is nothing to undo")
    history.RestorePreviousState()
    test.assertFalse(history.IsRestorePreviousStateAvailable(), "a run has several undo states")
    for name, voxels in _structures(node, volumeNode).items():
        np.testing.assert_array_equal(voxels, before[name], f"{name} after undo")


def _letRunsChange(test, node, volumeNode) -> None:
    """Find the slices that were edited, and let the next run change the first one."""
    reviewed = ReviewedSlices(node, volumeGrid(volumeNode), 0)
    for _step in reviewed.refresh():
        pass
    test.assertEqual(reviewed.protected, {_SLICES[0], _SLICES[-1]})
    reviewed.release(_SLICES[0])


def _segment(test, logic: SegmentationLogic, volumeNode, slices: range, outputNode=None):
    """Return the segmentation node after a run that ended well."""
    request = SegmentationRequest(
        volumeNode, ModelRequest("demo-ct", device="cpu"), _CARD, outputNode, slices
    )
    run = logic.segment(request)
    end = time.monotonic() + _DEADLINE_S
    while not run.isOver:
        test.assertLess(time.monotonic(), end, f"still {run.state.value} after {_DEADLINE_S} s")
        logic.update()
        slicer.app.processEvents()
        threading.Event().wait(0.01)
    test.assertIsNone(run.error)
    test.assertEqual(run.finishedSlices, len(slices))
    return run.segmentationNode


def _structures(node, volumeNode) -> dict[str, np.ndarray]:
    """Return the voxels [k, j, i] of each segment on the volume's grid, by name.

    ``slicer.util`` has functions for this and for writing, but they leave nodes in the scene.
    """
    structures = {}
    segmentation = node.GetSegmentation()
    for segmentID in segmentation.GetSegmentIDs():
        image = slicer.vtkOrientedImageData()
        node.GetBinaryLabelmapRepresentation(segmentID, image)
        voxels = np.zeros(slicer.util.arrayFromVolume(volumeNode).shape, bool)
        if not image.IsEmpty():
            i0, i1, j0, j1, k0, k1 = image.GetExtent()
            values = vtk_to_numpy(image.GetPointData().GetScalars()) > 0
            box = values.reshape(k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1)
            voxels[k0 : k1 + 1, j0 : j1 + 1, i0 : i1 + 1] = box
        structures[segmentation.GetSegment(segmentID).GetName()] = voxels
    return structures


def _replaceLiver(node, volumeNode, voxels: np.ndarray) -> None:
    """Replace the liver as the tools of Segment Editor do."""
    image = slicer.vtkOrientedImageData()
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    image.SetImageToWorldMatrix(matrix)
    image.SetDimensions(voxels.shape[::-1])
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    vtk_to_numpy(image.GetPointData().GetScalars())[:] = voxels.ravel()
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    segmentID = node.GetSegmentation().GetSegmentIdBySegmentName("Liver")
    logic.SetBinaryLabelmapToSegment(image, node, segmentID, logic.MODE_REPLACE)


def _referenceLiver() -> np.ndarray:
    volume = read_volume(resource_path("samples", "ct-abdomen-dicom"))
    labels = read_labels(resource_path("samples", "ct-abdomen-reference.nii.gz"), volume)
    return labels == _LIVER_IN_REFERENCE


def _remove(node) -> None:
    """Remove ``node``, if there is one, and what is there only to display and store it."""
    if node is None:
        return
    scene = slicer.mrmlScene
    for record in recordsOf(node):
        _remove(record.node)
    for index in reversed(range(node.GetNumberOfDisplayNodes())):
        scene.RemoveNode(node.GetNthDisplayNode(index))
    if node.GetStorageNode() is not None:
        scene.RemoveNode(node.GetStorageNode())
    scene.RemoveNode(node)


def _sessionFolders() -> list[str]:
    return sorted(one.name for one in Path(slicer.app.temporaryPath).glob("GDLA-session-*"))
