"""Reads a segmentation with 3D Slicer's own reader and prints what Slicer sees, as JSON.

A program and not a fixture: slicer-core may crash while the interpreter shuts down, after all work
is done, so it runs in a process of its own that leaves without shutting down.
"""

from __future__ import annotations

import json
import os
import sys
import traceback

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy


def read(path: str) -> dict:
    """Return reader messages, reference geometry and segments, with their voxels' RAS positions."""
    scene = slicer.vtkMRMLScene()
    node = slicer.vtkMRMLSegmentationNode()
    scene.AddNode(node)
    storage = slicer.vtkMRMLSegmentationStorageNode()
    scene.AddNode(storage)
    storage.SetFileName(path)
    success = storage.ReadData(node)
    segmentation = node.GetSegmentation()
    return {
        "success": bool(success),
        "messages": storage.GetUserMessages().GetAllMessagesAsString(),
        "layers": segmentation.GetNumberOfLayers(),
        "source": segmentation.GetSourceRepresentationName(),
        "reference": _reference_matrix(segmentation),
        "segments": [
            _segment(node, segmentation.GetNthSegmentID(index))
            for index in range(segmentation.GetNumberOfSegments())
        ],
    }


def _reference_matrix(segmentation: slicer.vtkSegmentation) -> list[list[float]]:
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    grid = slicer.vtkOrientedImageData()
    slicer.vtkSegmentationConverter.DeserializeImageGeometry(
        segmentation.GetConversionParameter(name), grid
    )
    return _image_to_world(grid).tolist()


def _segment(node: slicer.vtkMRMLSegmentationNode, segment_id: str) -> dict:
    segment = node.GetSegmentation().GetSegment(segment_id)
    image = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation(segment_id, image)
    i0, i1, j0, j1, k0, k1 = image.GetExtent()
    voxels = vtk_to_numpy(image.GetPointData().GetScalars())
    k, j, i = np.nonzero(voxels.reshape(k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1))
    ijk = np.stack([i + i0, j + j0, k + k0, np.ones_like(i)])
    tag = vtk.reference("")
    segment.GetTag("GDLA.Model", tag)
    return {
        "id": segment_id,
        "name": segment.GetName(),
        "value": segment.GetLabelValue(),
        "color": segment.GetColor(),
        "terminology": segment.GetTerminology(),
        "model": str(tag),
        "positions": (_image_to_world(image) @ ijk)[:3].T.tolist(),
    }


def _image_to_world(image: slicer.vtkOrientedImageData) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return np.array([[matrix.GetElement(r, c) for c in range(4)] for r in range(4)])


if __name__ == "__main__":
    status = 0
    try:
        print(json.dumps([read(path) for path in sys.argv[1:]]))
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
