"""The Segment Editor effect where a server does the work."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from panels import ct_array

URL = "https://gpu.hospital.example:8443"


def test_the_effect_asks_the_server_and_says_if_none_is_named(desk, scripted):
    panel = slicer.modules.GDLASegmenterWidget.panel
    panel.environment._inSlicer = ()  # no ONNX Runtime
    box, address = panel.ui.deviceComboBox, panel.ui.serverAddressLineEdit
    box.setCurrentIndex(box.findData("remote"))
    desk.click()
    assert desk.status.startswith("The address of the server is missing.")
    address.text = URL
    address.editingFinished.emit()
    # Its weights are not on this computer, and it is for such images.
    slicer.modules.GDLASegmenterWidget.logic.getParameterNode().modelName = "synapse"
    desk.options.showCheckpoint()
    desk.choose_structure("Aorta")
    desk.click()
    asked = scripted[0].previews[-1].model
    assert (asked.model, asked.server.url) == ("synapse", URL)
    assert "voxels changed" in desk.status
    np.testing.assert_array_equal(desk.voxels("liver")[5], ct_array()[5] > 0)


@pytest.mark.parametrize("isPreview", [False, True])
def test_the_effect_names_a_server_that_takes_long(desk, scripted, monkeypatch, isPreview):
    from GDLASegmenterLib import SlicePreviews

    monkeypatch.setattr(SlicePreviews, "_PATIENCE_S", 0)
    panel = slicer.modules.GDLASegmenterWidget.panel
    panel.ui.deviceComboBox.setCurrentIndex(panel.ui.deviceComboBox.findData("remote"))
    panel.ui.serverAddressLineEdit.text = URL
    panel.ui.serverAddressLineEdit.editingFinished.emit()
    scripted[0].hold()
    options = desk.options
    desk.desktop.click(options.preview.checkBox if isPreview else options.segmentButton)
    desk.desktop.wait_until(lambda: desk.status == "Waiting for gpu.hospital.example:8443…")
    scripted[0].go_on()
    said = "" if isPreview else "voxels changed"
    desk.desktop.wait_until(lambda: not desk.status.startswith("Waiting") and said in desk.status)


FELL_BACK = "The server gpu.hospital.example is gone. Going on on this computer (CPU)."


@pytest.mark.parametrize("isPreview", [False, True])
def test_the_effect_says_that_this_computer_does_what_the_server_should(desk, scripted, isPreview):
    scripted[0].hold()
    options = desk.options
    desk.desktop.click(options.preview.checkBox if isPreview else options.segmentButton)
    desk.desktop.wait_until(lambda: scripted[0].previewing)
    scripted[0].warn(FELL_BACK)
    scripted[0].go_on()
    desk.desktop.wait_until(lambda: FELL_BACK in desk.status)
    assert isPreview or desk.status.startswith("Slice 5: ")
