"""What tests of the Segment Editor effect share: an editor over a CT, with the effect active."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from nodes import add_segmentation
from panels import add_ct
from pythonqt.declared import behaviour_of

MODULE = Path(__file__).resolve().parents[2] / "SegmentEditorGDLA" / "SegmentEditorGDLA.py"
MODULES = Path(__file__).parent / "slicer_host" / "modules"


class EffectDesk:
    """A user at the Segment Editor: ``volume`` has a bright box, which is the model's first label.

    ``node`` has a segment of that structure in all slices, too small, and one of the user's own.
    """

    def __init__(self, desktop: Any, view: slicer.vtkMRMLSliceNode) -> None:
        import slice_nodes  # which needs the module's folder to be known

        self.desktop, self.view, self.views = desktop, view, slice_nodes
        self.volume = add_ct()
        small, own = (np.zeros((12, 16, 16), bool) for _ in range(2))
        small[:, 5:9, 5:9] = True
        own[:, 10:15, 10:15] = True
        self.node = add_segmentation(self.volume, {"liver": small, "my remark": own})
        self.editor = desktop.show("SegmentEditor").editor
        self.editor.setSegmentationNode(self.node)
        self.editor.setSourceVolumeNode(self.volume)
        self.parameters = self.editor.mrmlSegmentEditorNode()
        self.parameters.SetOverwriteMode(self.parameters.OverwriteNone)
        self.select("liver")
        self.look_at(5)
        self.activate()

    def activate(self) -> None:
        self.editor.setActiveEffectByName("GDLA")
        self.desktop.process_events()

    def leave(self) -> None:
        self.editor.setActiveEffectByName("")

    def look_at(self, index: float) -> None:
        self.views.go_to(self.view, self.volume, index)

    def select(self, name: str) -> None:
        self.parameters.SetSelectedSegmentID(self.id_of(name))

    def id_of(self, name: str) -> str:
        """Return the ID of the segment called so; Slicer's own method takes Liver for liver."""
        segmentation = self.node.GetSegmentation()
        found = [
            one
            for one in segmentation.GetSegmentIDs()
            if segmentation.GetSegment(one).GetName() == name
        ]
        assert len(found) == 1, found
        return found[0]

    @property
    def reviewed(self) -> Any:
        """What is ticked in the segmentation, slice by slice."""
        return self.reviewed_along(0)

    def reviewed_along(self, axis: int) -> Any:
        from GDLASegmenterLib.ReviewedSlices import ReviewedSlices
        from GDLASegmenterLib.VolumeGrid import volumeGrid

        return ReviewedSlices(self.node, volumeGrid(self.volume), axis)

    @property
    def effect(self) -> Any:
        """Slicer's side of the effect."""
        return self.editor.effectByName("GDLA")

    @property
    def options(self) -> Any:
        return self.effect.self()._options

    @property
    def status(self) -> str:
        return self.options.statusLabel.text

    @property
    def structure(self) -> str:
        return self.options.structureComboBox.currentText

    def choose_structure(self, name: str) -> None:
        box = self.options.structureComboBox
        index = box.findText(name)
        assert index >= 0, name
        box.setCurrentIndex(index)
        box.activated.emit(index)

    def click(self) -> None:
        """Segment the slice, and wait until there is something to say about it."""
        self.desktop.click(self.options.segmentButton)
        self.desktop.wait_until(lambda: self.options.segmentButton.enabled)

    def voxels(self, name: str) -> np.ndarray:
        """Return the segment called so, on the volume's grid."""
        return (
            slicer.util.arrayFromSegmentBinaryLabelmap(self.node, self.id_of(name), self.volume)
            != 0
        )


@pytest.fixture
def effect_module(desktop: Any, module: Any) -> Iterator[Any]:
    """The module of the effect, loaded beside that of the panel, in a Slicer that has started."""
    desktop.load(MODULES / "SampleData.py")  # for the panel's module, which has a sample
    loaded = desktop.load(MODULE)
    desktop.application.startupCompleted.emit()
    yield loaded
    behaviour_of(slicer.qSlicerSegmentEditorEffectFactory.instance()).forget()


@pytest.fixture
def desk(desktop: Any, effect_module: Any, scripted: Any) -> Iterator[EffectDesk]:
    from slice_nodes import add_slice_node

    view = add_slice_node("Red")
    yield EffectDesk(desktop, view)
    slicer.mrmlScene.RemoveNode(view)
