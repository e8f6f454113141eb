"""The Segment Editor without its widgets, as its scripted effects see it, over Slicer's own logic.

Masks, overwriting and undo are Slicer's: ``vtkSlicerSegmentEditorLogic`` does them. The adaptor
has those members of ``qSlicerSegmentEditorScriptedEffect`` that our effect uses, and no others.
"""

from __future__ import annotations

import slicer
from vtk.util.numpy_support import vtk_to_numpy

Logic = slicer.vtkSlicerSegmentEditorLogic


_MODES = (
    Logic.ModificationModeSet,
    Logic.ModificationModeAdd,
    Logic.ModificationModeRemove,
    Logic.ModificationModeRemoveAll,
)
_PER_SEGMENT = False  # as our effect says of itself
_BYPASS_MASKING = False


class AbstractEffect:
    """Stands for ``slicer.qSlicerSegmentEditorAbstractEffect``: its modes."""

    ModificationModeSet = 0
    ModificationModeAdd = 1
    ModificationModeRemove = 2
    ModificationModeRemoveAll = 3


class Editor:
    """The Segment Editor with a segmentation, the volume it was drawn on, and its settings.

    ``strokes`` are what effects did: the segment's ID, the mode, and how many voxels were meant.
    """

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        self.node = scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        self.node.SetOverwriteMode(self.node.OverwriteAllSegments)
        self.logic = Logic()
        self.logic.SetMRMLScene(scene)
        self.logic.SetVerbose(True)  # what goes wrong in there fails the test
        self.logic.SetSegmentEditorNode(self.node)
        self.logic.SetMaximumNumberOfUndoStates(10)
        self.strokes: list[tuple[str, int, int]] = []
        self.saved_states = 0

    def open(
        self,
        segmentation_node: slicer.vtkMRMLSegmentationNode,
        volume_node: slicer.vtkMRMLScalarVolumeNode,
        selected: str = "",
    ) -> None:
        """Edit a segmentation; ``selected`` is the name of the segment to be edited."""
        self.logic.SetSegmentationNode(segmentation_node)
        self.logic.SetSourceVolumeNode(volume_node)
        if selected:
            self.select(selected)

    def select(self, name: str) -> None:
        segmentation = self.node.GetSegmentationNode().GetSegmentation()
        self.node.SetSelectedSegmentID(segmentation.GetSegmentIdBySegmentName(name))

    def undo(self) -> None:
        self.logic.Undo()

    def redo(self) -> None:
        self.logic.Redo()


class ScriptedEffect:
    """What a scripted effect is given as ``scriptedEffect``."""

    __slots__ = ("_editor",)

    def __init__(self, editor: Editor) -> None:
        self._editor = editor

    def parameterSetNode(self) -> slicer.vtkMRMLSegmentEditorNode:
        return self._editor.node

    def referenceGeometryImage(self) -> slicer.vtkOrientedImageData | None:
        logic = self._editor.logic
        return logic.GetReferenceGeometryImage() if logic.UpdateReferenceGeometryImage() else None

    def saveStateForUndo(self) -> None:
        self._editor.saved_states += 1
        self._editor.logic.SaveStateForUndo()

    def modifySelectedSegmentByLabelmap(
        self, labelmap: slicer.vtkOrientedImageData, mode: int, extent: list[int]
    ) -> None:
        node = self._editor.node
        segment_id = node.GetSelectedSegmentID()
        voxels = vtk_to_numpy(labelmap.GetPointData().GetScalars())
        self._editor.strokes.append((segment_id, mode, int((voxels != 0).sum())))
        self._editor.logic.ModifySegmentByLabelmap(
            *(node.GetSegmentationNode(), segment_id, labelmap, _MODES[mode], extent),
            *(_PER_SEGMENT, _BYPASS_MASKING),
        )


def install() -> None:
    """Put the class with the modes where effects look for it, unless Qt's stand-in is there."""
    if not hasattr(slicer, "qSlicerSegmentEditorAbstractEffect"):
        slicer.qSlicerSegmentEditorAbstractEffect = AbstractEffect
