"""Reads a segmentation file with 3D Slicer's own reader and tells what Slicer sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slicer
import slicer.util
import vtk
from world import segment_positions


def read(path: Path) -> dict:
    """Return reader messages, reference geometry and segments, with their voxels' RAS positions.

    Nothing stays in the scene.
    """
    scene = slicer.mrmlScene
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    success = storage.ReadData(node)
    segmentation = node.GetSegmentation()
    seen = {
        "success": bool(success),
        "messages": storage.GetUserMessages().GetAllMessagesAsString(),
        "layers": segmentation.GetNumberOfLayers(),
        "source": segmentation.GetSourceRepresentationName(),
        "reference": reference_matrix(node),
        "segments": [_segment(node, segment_id) for segment_id in segmentation.GetSegmentIDs()],
    }
    scene.RemoveNode(storage)
    scene.RemoveNode(node)
    return seen


def reference_matrix(node: slicer.vtkMRMLSegmentationNode) -> np.ndarray:
    """Return the 4x4 IJK to RAS matrix of the grid on which Segment Editor would edit ``node``."""
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    grid = slicer.vtkOrientedImageData()
    slicer.vtkSegmentationConverter.DeserializeImageGeometry(
        node.GetSegmentation().GetConversionParameter(name), grid
    )
    matrix = vtk.vtkMatrix4x4()
    grid.GetImageToWorldMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def tag(segment: slicer.vtkSegment, name: str) -> str:
    """Return the text of a segment's tag, empty if it has none."""
    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else ""


def _segment(node: slicer.vtkMRMLSegmentationNode, segment_id: str) -> dict:
    segment = node.GetSegmentation().GetSegment(segment_id)
    return {
        "id": segment_id,
        "name": segment.GetName(),
        "value": segment.GetLabelValue(),
        "color": segment.GetColor(),
        "terminology": segment.GetTerminology(),
        "model": tag(segment, "GDLA.Model"),
        "positions": segment_positions(node, segment_id),
    }
