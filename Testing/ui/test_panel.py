"""The panel as a clinician uses it: choices, Segment, progress, result, correction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

MODULE = Path(__file__).resolve().parents[2] / "GDLASegmenter" / "GDLASegmenter.py"


@pytest.fixture
def module(desktop):
    return desktop.load(MODULE)


@pytest.fixture
def sample(desktop, module):
    """The sample CT in the scene."""
    from GDLASegmenterLib.SampleCT import loadSampleCT

    return loadSampleCT()[0]


@pytest.fixture
def widget(desktop, module):
    return desktop.show(module)


def test_from_the_sample_to_a_result_that_segment_editor_shows(desktop, module, sample, tmp_path):
    import slicer

    widget = desktop.show(module)
    ui = widget.panel.ui
    assert ui.inputVolumeSelector.currentNode() is sample
    assert ui.modalityComboBox.currentText == "CT"
    assert ui.segmentButton.enabled and not ui.cancelButton.enabled
    desktop.click(ui.segmentButton)
    assert not ui.segmentButton.enabled and ui.cancelButton.enabled
    desktop.wait_until(lambda: ui.segmentButton.enabled, 8)
    node = widget.panel.parameters.result
    assert "structures" in ui.statusLabel.text
    assert node.GetSegmentation().GetNumberOfSegments() == 9
    image = node.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
    assert np.prod(image.GetDimensions()) > 0
    desktop.picture(widget.parent, tmp_path / "panel.png")
    desktop.click(ui.editButton)
    editor = slicer.modules.SegmentEditorWidget.editor
    assert editor.segmentationNode() is node
    assert editor.sourceVolumeNode() is sample
