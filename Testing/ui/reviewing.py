"""What the tests of the panel's review share: a volume in a view, and its result."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from nodes import paint
from panels import SLICES, add_ct, add_slice_view
from scripted_host import doubt_of

BY_DOUBT = sorted(range(SLICES), key=lambda index: -doubt_of(index, SLICES))


@pytest.fixture
def volume(desktop):
    return add_ct()


@pytest.fixture
def view(volume):
    node = add_slice_view()
    yield node
    slicer.mrmlScene.RemoveNode(node)


@pytest.fixture
def panel(view, worker, widget):
    return widget.panel


@pytest.fixture
def ui(panel):
    return panel.ui


@pytest.fixture
def segment(desktop, panel):
    """Segment, and return the result."""

    def segment():
        desktop.click(panel.ui.segmentButton)
        desktop.wait_until(lambda: not panel.controller.isBusy)
        panel.onTick()
        return panel.parameters.result

    return segment


@pytest.fixture
def look_at(panel, view):
    """Bring the view to a stored slice."""

    def look_at(index):
        view.SetSliceOffset(4.0 * index)
        panel.onTick()

    return look_at


def viewed(view):
    return round(view.GetSliceOffset() / 4)


def marks_of(node, volume, axis=0):
    from GDLASegmenterLib.ReviewedSlices import ReviewedSlices
    from GDLASegmenterLib.VolumeGrid import volumeGrid

    return ReviewedSlices(node, volumeGrid(volume), axis)


def draw_into(node, volume, index):
    """Draw into the model's first segment in a stored slice, as Segment Editor does."""
    mask = np.zeros((SLICES, 16, 16), np.uint8)
    mask[index, :3, :3] = 1
    merge = slicer.vtkSlicerSegmentationsModuleLogic.MODE_MERGE_MAX
    paint(node, volume, node.GetSegmentation().GetNthSegmentID(0), mask, merge)
