"""The undo history of Segment Editor, where users expect to undo."""

from __future__ import annotations

import slicer


def saveStateForUndo(segmentationNode) -> None:
    """Let Segment Editor's Undo take back what is about to be done to ``segmentationNode``.

    It keeps a history of the segmentation that it shows, and of no other.
    """
    widget = getattr(slicer.modules, "SegmentEditorWidget", None)  # None until it was opened
    if widget is not None and widget.editor.segmentationNode() is segmentationNode:
        widget.editor.saveStateForUndo()
