"""qMRMLSegmentationShow3DButton: closed surfaces of a segmentation, made and removed."""

from __future__ import annotations

import slicer
import vtk
from pythonqt.declared import declare

from slicer_widgets.buttons import PushButton
from slicer_widgets.observers import Observers
from slicer_widgets.scene_widgets import require

_SURFACE = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()


class Show3DButton(PushButton):
    def start(self) -> None:
        self._node: slicer.vtkMRMLSegmentationNode | None = None
        self._observers = Observers(self.widget)
        self.widget.text = "Show 3D"
        self.widget.checkable = True
        self.widget.enabled = False
        self.widget.connect("toggled(bool)", self._toggled)

    def segmentationNode(self) -> slicer.vtkMRMLSegmentationNode | None:
        return self._node

    def setSegmentationNode(self, node: slicer.vtkMRMLSegmentationNode | None) -> None:
        require(node, slicer.vtkMRMLSegmentationNode, "setSegmentationNode")
        if node is self._node:
            return
        self._observers.remove()
        self._node = node
        if node is not None:
            segmentation = slicer.vtkSegmentation
            for event in (
                vtk.vtkCommand.ModifiedEvent,
                segmentation.SegmentAdded,
                segmentation.SegmentRemoved,
                segmentation.ContainedRepresentationNamesModified,
            ):
                self._observers.add(node, event, self._update)
        self._update()

    def setLocked(self, locked: bool) -> None:
        self.widget.locked = locked

    def changed_locked(self, _: bool) -> None:
        self._update()

    def _update(self) -> None:
        segmentation = self._node.GetSegmentation() if self._node is not None else None
        if segmentation is None:
            self.widget.enabled = False
            return
        self.widget.enabled = bool(
            not self.values.get("locked")
            and segmentation.GetNumberOfSegments()
            and segmentation.GetSourceRepresentationName() != _SURFACE
        )
        blocked = self.widget.blockSignals(True)
        self.widget.checked = bool(segmentation.ContainsRepresentation(_SURFACE))
        self.widget.blockSignals(blocked)

    def _toggled(self, on: bool) -> None:
        if self._node is None:
            return
        with slicer.util.NodeModify(self._node):
            segmentation = self._node.GetSegmentation()
            display = self._node.GetDisplayNode()
            if not on:
                segmentation.RemoveRepresentation(_SURFACE)
            elif segmentation.CreateRepresentation(_SURFACE) and display is not None:
                display.SetPreferredDisplayRepresentationName3D(_SURFACE)


declare("qMRMLSegmentationShow3DButton", Show3DButton)
