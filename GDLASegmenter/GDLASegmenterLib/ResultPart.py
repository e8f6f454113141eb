"""The panel's result: the selected segmentation, where to correct it, and its volumes."""

from __future__ import annotations

import slicer

from GDLASegmenterLib.Parameters import Parameters
from GDLASegmenterLib.VolumesTable import addVolumesTable


class ResultPart:
    """Shows the selected segmentation and hands it over to Segment Editor."""

    def __init__(self, ui) -> None:
        self._ui = ui
        self._parameters: Parameters | None = None
        ui.editButton.connect("clicked(bool)", self.onEdit)
        ui.volumesButton.connect("clicked(bool)", self.onVolumes)

    def setParameters(self, parameters: Parameters | None) -> None:
        self._parameters = parameters
        self.update(False)

    @property
    def segmentationNode(self):
        """The segmentation that is written to, or else the one that was made last."""
        parameters = self._parameters
        return (parameters.segmentation or parameters.result) if parameters else None

    def update(self, enabled: bool) -> None:
        """Show the segmentation; ``enabled``: whether it may be edited and measured now."""
        node = self.segmentationNode
        self._ui.segmentsTable.setSegmentationNode(node)
        self._ui.show3DButton.setSegmentationNode(node)
        for button in (self._ui.show3DButton, self._ui.editButton, self._ui.volumesButton):
            button.enabled = enabled and node is not None

    def onEdit(self, checked: bool = False) -> None:
        """Open Segment Editor with the segmentation and the volume selected."""
        segmentationNode = self.segmentationNode
        volumeNode = self._parameters.inputVolume
        slicer.util.selectModule("SegmentEditor")
        editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
        editor.setSegmentationNode(segmentationNode)
        editor.setSourceVolumeNode(volumeNode)

    def onVolumes(self, checked: bool = False) -> None:
        """Put the volumes into a table and show it, where there is a layout to show it in."""
        tableNode = addVolumesTable(self.segmentationNode)
        selectionNode = slicer.app.applicationLogic().GetSelectionNode()
        selectionNode.SetReferenceActiveTableID(tableNode.GetID())
        layoutManager = slicer.app.layoutManager()
        if layoutManager is not None:
            layout = layoutManager.layoutLogic().GetLayoutNode().GetViewArrangement()
            withTable = slicer.modules.tables.logic().GetLayoutWithTable(layout)
            layoutManager.setLayout(withTable)
            slicer.app.applicationLogic().PropagateTableSelection()
