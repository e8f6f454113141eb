"""The panel's result: the selected segmentation, where to correct it, and its volumes."""

from __future__ import annotations

import slicer
import slicer.util
from slicer.i18n import tr as _

from GDLACore.errors import GDLAError
from GDLASegmenterLib.Parameters import Parameters
from GDLASegmenterLib.TableView import showTable
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

    @property
    def volumeNode(self):
        """The volume that the segmentation was made of, which need not be the chosen one."""
        role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
        return self.segmentationNode.GetNodeReference(role) or self._parameters.inputVolume

    def update(self, enabled: bool) -> None:
        """Show the segmentation; ``enabled``: whether it may be edited and measured now."""
        node = self.segmentationNode
        if self._ui.segmentsTable.segmentationNode() is not node:  # it would be filled anew
            self._ui.segmentsTable.setSegmentationNode(node)
            self._ui.show3DButton.setSegmentationNode(node)
        if self._ui.show3DButton.locked == enabled:
            self._ui.show3DButton.locked = not enabled
        for button in (self._ui.editButton, self._ui.volumesButton):
            button.enabled = enabled and node is not None

    def onEdit(self, checked: bool = False) -> None:
        """Open Segment Editor with the segmentation and its volume selected."""
        segmentationNode = self.segmentationNode
        volumeNode = self.volumeNode
        slicer.util.selectModule("SegmentEditor")
        editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
        editor.setSegmentationNode(segmentationNode)
        editor.setSourceVolumeNode(volumeNode)

    def onVolumes(self, checked: bool = False) -> None:
        """Put the volumes into a table and show it, where there is a layout to show it in."""
        try:
            tableNode = addVolumesTable(self.segmentationNode)
        except GDLAError as error:
            slicer.util.errorDisplay(str(error), _("Volumes"))
            return
        showTable(tableNode)
