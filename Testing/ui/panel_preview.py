"""What the tests of the panel's live preview share: a volume in a view, and what is drawn there."""

from __future__ import annotations

import pytest
import slicer
import slicer.util
from panels import add_ct, add_slice_view

BOX = 8 * 8  # voxels of the bright box in a slice


@pytest.fixture
def volume(desktop):
    return add_ct()


@pytest.fixture
def view(volume):
    node = add_slice_view()
    node.SetSliceOffset(4.0 * 3)
    yield node
    slicer.mrmlScene.RemoveNode(node)


@pytest.fixture
def panel(view, worker, widget):
    return widget.panel


@pytest.fixture
def ui(panel):
    return panel.ui


@pytest.fixture
def preview(desktop, panel, ui):
    """Turn the preview on, and wait until it shows a slice."""

    def preview(index=3):
        if not ui.livePreviewCheckBox.checked:
            desktop.click(ui.livePreviewCheckBox)
        desktop.wait_until(lambda: overlaid() == index)
        panel.onTick()

    return preview


@pytest.fixture
def finish(desktop, worker, panel):
    def finish():
        worker.go_on()
        desktop.wait_until(lambda: not panel.controller.isBusy)
        panel.onTick()

    return finish


def overlay():
    """Return the node of the overlay, None if there is none."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    return next((node for node in nodes if node.GetHideFromEditors()), None)


def overlaid():
    """Return the stored slice that the overlay shows, None if it shows none."""
    if overlay() is None:
        return None
    segmentation = overlay().GetSegmentation()
    image = segmentation.GetNthSegment(0).GetRepresentation("Binary labelmap")
    k0, k1 = image.GetExtent()[4:]
    return k0 if k0 == k1 else None


def results():
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    return [node for node in nodes if not node.GetHideFromEditors()]
