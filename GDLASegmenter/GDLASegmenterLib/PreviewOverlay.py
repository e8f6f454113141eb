"""A light picture over one slice of a volume, which belongs to no segmentation of the user."""

from __future__ import annotations

import numpy as np
import slicer
import vtk

from GDLACore.model.card import ModelCard
from GDLASegmenterLib.Extent import EMPTY
from GDLASegmenterLib.LabelLayer import LabelLayer, layersOf, scalarType
from GDLASegmenterLib.ModelSegments import addSegments
from GDLASegmenterLib.VolumeGrid import VolumeGrid

_FILL, _OUTLINE = 0.25, 0.9  # opacity; half of what segmentations have inside


class PreviewOverlay:
    """Shows the labels of one slice in the slice views of ``scene``.

    It is one slice thick: a view that is at another slice cannot show it. Its node is made when it
    is needed; it is in no selector, in no saved scene, in no tree and in no history.
    """

    def __init__(self, scene) -> None:
        self._scene = scene
        self._node = None
        self._card: ModelCard | None = None
        self._index: int | None = None

    @property
    def node(self):
        """The segmentation node, None as long as there is none."""
        # By its ID, after the scene was closed, another node might be taken for it.
        if self._node is not None and self._node.GetScene() is not self._scene:
            self._node = None
        return self._node

    @property
    def index(self) -> int | None:
        """The stored slice that is shown, None if the overlay is empty."""
        return self._index if self.node is not None else None

    def show(
        self, grid: VolumeGrid, card: ModelCard, axis: int, index: int, labels: np.ndarray
    ) -> None:
        """Show ``labels``, two-dimensional, as the slice ``index`` along array axis ``axis``."""
        self._prepare(card)
        transformID = grid.transformID if self._scene.GetNodeByID(grid.transformID or "") else None
        if self._node.GetTransformNodeID() != transformID:
            self._node.SetAndObserveTransformNodeID(transformID)
        layer = self._layer
        layer.image.SetImageToWorldMatrix(grid.IJKToRAS)
        layer.image.SetExtent(*grid.slab(axis, index, index))
        layer.image.AllocateScalars(scalarType(len(card.labels)), 1)
        place = layer.array()
        np.copyto(place, labels.reshape(place.shape), "unsafe")
        self._announce()
        self._index = index

    def clear(self) -> None:
        """Show nothing."""
        if self.index is not None:
            self._layer.image.SetExtent(*EMPTY)
            self._layer.image.AllocateScalars(scalarType(len(self._card.labels)), 1)
            self._announce()
        self._index = None

    def remove(self) -> None:
        """Take the node out of the scene; ``show`` makes another."""
        node, self._node, self._index = self.node, None, None
        if node is not None:
            displayNode = node.GetDisplayNode()
            self._scene.RemoveNode(node)
            self._scene.RemoveNode(displayNode)

    @property
    def _layer(self) -> LabelLayer:
        segmentation = self._node.GetSegmentation()
        (layer,) = layersOf(segmentation, segmentation.GetSegmentIDs())
        return layer

    def _prepare(self, card: ModelCard) -> None:
        """Have a node with the segments of ``card``, all in one layer."""
        if self._card != card:
            self.remove()
        if self.node is None:
            self._node, self._card = self._newNode(card), card

    def _newNode(self, card: ModelCard):
        displayNode = self._hidden("vtkMRMLSegmentationDisplayNode")
        displayNode.SetVisibility3D(False)
        displayNode.SetOpacity2DFill(_FILL)
        displayNode.SetOpacity2DOutline(_OUTLINE)
        node = self._hidden("vtkMRMLSegmentationNode")
        # All this before it is in the scene: if it got segments or its display node later, Slicer's
        # tree of data would write errors because the node is not in it.
        addSegments(node.GetSegmentation(), card, list(card.labels), None, vtk.vtkMatrix4x4())
        node.SetScene(self._scene)
        node.SetAndObserveDisplayNodeID(self._scene.AddNode(displayNode).GetID())
        return self._scene.AddNode(node)

    def _hidden(self, className: str):
        """Return a node that is nobody's but ours, still outside the scene."""
        node = self._scene.CreateNodeByClass(className)
        node.UnRegister(None)  # CreateNodeByClass leaves the caller a reference
        node.SetName("GDLA preview")
        node.HideFromEditorsOn()
        node.SaveWithSceneOff()
        node.SetSelectable(False)
        node.SetUndoEnabled(False)
        return node

    def _announce(self) -> None:
        """Tell the views once of what was written: for each segment, they would draw each time."""
        segmentation = self._node.GetSegmentation()
        segmentation.InvokeEvent(
            slicer.vtkSegmentation.RepresentationModified, segmentation.GetNthSegmentID(0)
        )
