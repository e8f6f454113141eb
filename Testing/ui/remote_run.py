"""What tests of the panel share that let a server do the work: the sample, and a bare computer."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import slicer
import slicer.util

SLICES = range(8, 12)


def name_server(ui, url, token=""):
    ui.deviceComboBox.setCurrentIndex(ui.deviceComboBox.findData("remote"))
    for field, text in ((ui.serverAddressLineEdit, url), (ui.serverTokenLineEdit, token)):
        field.text = text
        field.editingFinished.emit()


@contextmanager
def nobody() -> Iterator[str]:
    """An address at which nobody answers, and which no other program is given meanwhile."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{deaf.getsockname()[1]}"


@pytest.fixture
def sample(desktop, module):
    from GDLASegmenterLib.SampleCT import loadSampleCT

    return loadSampleCT()[0]


@pytest.fixture
def bare(desktop, module, sample, monkeypatch):
    """A panel with a real worker, on a computer without ONNX Runtime."""
    from GDLASegmenterLib import EnvironmentPart
    from GDLASegmenterLib.Parameters import SegmentedPart

    monkeypatch.setattr(EnvironmentPart, "installed_builds", lambda: ())
    panel = desktop.show(module).panel
    panel.ui.advancedSection.collapsed = False
    panel.parameters.part = SegmentedPart.SLICE_RANGE
    panel.parameters.firstSlice, panel.parameters.lastSlice = SLICES[0], SLICES[-1]
    return panel


def found_in(node, volume, labels):
    """Return the label map [k, j, i] that the segments of ``node`` are, in the order of a card."""
    segmentation = node.GetSegmentation()
    found = np.zeros(slicer.util.arrayFromVolume(volume).shape, np.uint8)
    for number in range(segmentation.GetNumberOfSegments()):
        name = segmentation.GetNthSegment(number).GetName()
        value = next(label.value for label in labels if label.name == name)
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(
            node, segmentation.GetNthSegmentID(number), volume
        )
        found[mask != 0] = value
    return found


def finish(desktop, panel, *answers):
    desktop.answer(*answers)
    desktop.click(panel.ui.segmentButton)
    desktop.wait_until(lambda: not panel.controller.isBusy)
    panel.onTick()
