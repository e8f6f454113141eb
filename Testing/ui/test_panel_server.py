"""A server that does the work, as the panel sees it: chosen once, tested, and asked for slices."""

from __future__ import annotations

import pytest
import qt
import slicer
import slicer.util
from panels import add_ct, add_slice_view

from GDLACore.remote import RemoteServer

URL, TOKEN = "https://gpu.hospital.example:8443", "se.cret-7"
KNOWN = "Eight abdominal organs in CT (Synapse)"  # its weights are not on this computer


@pytest.fixture
def nothing(module, monkeypatch):
    """Let the computer have no ONNX Runtime at all."""
    from GDLASegmenterLib import EnvironmentPart

    monkeypatch.setattr(EnvironmentPart, "installed_builds", lambda: ())


@pytest.fixture
def panel(nothing, widget):
    add_ct()
    widget.panel.ui.advancedSection.collapsed = False
    return widget.panel


@pytest.fixture
def ui(panel):
    return panel.ui


def choose(ui, data):
    ui.deviceComboBox.setCurrentIndex(ui.deviceComboBox.findData(data))


def enter(field, text):
    """Type ``text`` and go on to the next field."""
    field.text = text
    field.editingFinished.emit()


@pytest.fixture
def remote(ui):
    """The device "Remote server…" with an address and a token."""
    choose(ui, "remote")
    enter(ui.serverAddressLineEdit, URL)
    enter(ui.serverTokenLineEdit, TOKEN)


@pytest.fixture
def segment(desktop, panel):
    def segment(*answers):
        desktop.answer(*answers)
        desktop.click(panel.ui.segmentButton)
        desktop.wait_until(lambda: not panel.controller.isBusy)
        panel.onTick()

    return segment


def select(ui, title):
    index = next(n for n in range(ui.modelComboBox.count) if title in ui.modelComboBox.itemText(n))
    ui.modelComboBox.setCurrentIndex(index)


# The fields


def test_the_fields_are_there_only_for_a_server(desktop, panel, ui):
    assert ui.deviceComboBox.itemText(ui.deviceComboBox.count - 1) == "Remote server…"
    assert not ui.serverGroup.visible
    choose(ui, "remote")
    assert ui.serverGroup.visible and ui.serverTokenLineEdit.echoMode == qt.QLineEdit.Password
    assert not ui.fallBackCheckBox.checked
    choose(ui, "cpu")
    assert not ui.serverGroup.visible and panel.environment.server is None
    assert panel.environment.device == "cpu"


def test_what_is_said_of_a_server_is_kept_on_this_computer(desktop, module, remote, panel, ui):
    enter(ui.serverCAFileLineEdit, "/etc/hospital.pem")
    desktop.click(ui.fallBackCheckBox)
    desktop.close_scene()
    again = desktop.reload(module).panel
    again.ui.advancedSection.collapsed = False
    assert again.ui.deviceComboBox.currentText == "Remote server…" and again.ui.serverGroup.visible
    assert again.environment.server == RemoteServer(
        URL, token=TOKEN, ca_file="/etc/hospital.pem", fall_back=True
    )
    assert again.environment.device == "auto"
    for name in ("Address", "CAFile", "Token"):
        enter(getattr(again.ui, f"server{name}LineEdit"), "")
        assert not qt.QSettings().contains(f"GDLASegmenter/Server/{name}")


def test_the_certificates_are_chosen_in_a_dialog(desktop, remote, panel, ui):
    desktop.answer("")
    desktop.click(ui.chooseCAFileButton)
    assert panel.environment.server.ca_file is None
    desktop.answer("/etc/hospital.pem")
    desktop.click(ui.chooseCAFileButton)
    assert panel.environment.server.ca_file == "/etc/hospital.pem"


def test_token_and_address_are_in_no_scene_log_or_diagnostics(
    desktop, remote, panel, ui, worker, segment, tmp_path
):
    worker.lines = "connecting to gpu.hospital.example\nGPU.hospital.example:8443 is busy\n"
    segment()
    assert TOKEN not in repr(worker.requests[-1][1])
    desktop.click(ui.diagnosticsButton)
    text = slicer.app.clipboard().text()
    assert "<server>:8443 is busy" in text
    slicer.util.saveScene(str(tmp_path / "scene.mrml"))
    shown = [ui.logText.plainText, ui.statusLabel.text, ui.serverLabel.text]
    for where in (text, (tmp_path / "scene.mrml").read_text(), *shown):
        assert TOKEN not in where
    for where in (text, (tmp_path / "scene.mrml").read_text()):
        assert "hospital.example" not in where.lower()


def test_a_short_name_of_a_server_destroys_no_words_of_the_diagnostics(
    desktop, remote, panel, ui, worker, monkeypatch
):
    monkeypatch.setenv("https_proxy", "http://me:pass@relay.hospital.example:3128")
    for host in ("e", "gpu", "gpu-2", "10.0.0.1"):
        enter(ui.serverAddressLineEdit, f"https://{host}")
    said = [
        "Device e:443 has one GPU: gpu, not cgpu, gpu_2 or e.g. a gpu.memory of 110.0.0.1",
        "GPU-2 and 10.0.0.1:8000 left. So did gpu-2.",
        "relay.hospital.example:3128 and a.gpu.hospital.example hide gpu.",
    ]
    worker.lines = "\n".join(said)
    desktop.click(ui.diagnosticsButton)
    versions, *told = slicer.app.clipboard().text().split("Log:\n")
    assert "<" not in versions and "Device: remote" in versions
    assert told[0].splitlines() == [
        "Device <server>:443 has one <server>: <server>, not cgpu, gpu_2 or e.g. a gpu.memory of "
        "110.0.0.1",
        "<server> and <server>:8000 left. So did <server>.",
        "<server>:3128 and a.<server> hide <server>.",
    ]


# What is asked of it


def test_segment_needs_neither_onnx_runtime_nor_the_checkpoints_file(
    desktop, remote, ui, worker, segment
):
    select(ui, KNOWN)
    segment()
    model = worker.requests[-1][1]
    assert (model.model, model.card, model.device) == ("synapse", None, "auto")
    assert model.server == RemoteServer(URL, token=TOKEN)
    assert desktop.shown == [] and "structures" in ui.statusLabel.text


def test_a_checkpoint_on_this_computer_goes_along_with_its_file(remote, ui, worker, segment):
    segment()
    model = worker.requests[-1][1]
    assert model.model.endswith("demo-ct.safetensors") and model.server.url == URL


def test_without_a_server_all_is_as_before(desktop, remote, ui, worker, segment):
    choose(ui, "auto")
    select(ui, KNOWN)
    segment(qt.QMessageBox.Cancel)
    assert desktop.shown[-1].title == "Install ONNX Runtime" and worker.requests == []


def test_what_is_typed_counts_for_the_click_also_with_the_keyboard_still_in_the_field(
    remote, ui, worker, segment
):
    ui.serverAddressLineEdit.text = "https://other.example"
    segment()
    assert worker.requests[-1][1].server.url == "https://other.example"


def test_a_token_goes_to_no_other_server_than_the_one_it_was_typed_for(remote, panel, ui):
    enter(ui.serverAddressLineEdit, URL + "/behind/a/gateway")
    assert panel.environment.server.token == TOKEN
    enter(ui.serverAddressLineEdit, "")
    enter(ui.serverAddressLineEdit, "https://elsewhere.example")
    assert panel.environment.server.token is None and ui.serverTokenLineEdit.text == ""
    assert not qt.QSettings().contains("GDLASegmenter/Server/Token")
    assert "The token was that of gpu.hospital.example" in ui.serverLabel.text
    enter(ui.serverTokenLineEdit, "another")
    assert panel.environment.server.token == "another"


@pytest.mark.parametrize(
    ("address", "token", "message"),
    [
        ("", "", "The address of the server is missing."),
        ("gpu:8000", "", "The server's address lacks http:// or https://."),
        ("https://me:pass@gpu", "", "The server's address holds a name or a password."),
        ("http://gpu.example", "secret", "The token would travel to gpu.example where others"),
        ("https://gpu.example", "two words", "The token holds characters that cannot be sent."),
    ],
)
def test_a_server_that_cannot_be_asked_is_said_in_one_sentence_and_nothing_changes(
    desktop, panel, ui, worker, segment, address, token, message
):
    choose(ui, "remote")
    enter(ui.serverAddressLineEdit, address)
    enter(ui.serverTokenLineEdit, token)
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    segment(qt.QMessageBox.Ok)
    assert desktop.shown[-1].text.startswith(message)
    assert worker.requests == [] and slicer.mrmlScene.GetNumberOfNodes() == nodes
    assert not ui.livePreviewCheckBox.enabled
    assert ui.livePreviewCheckBox.toolTip.startswith(message)
    desktop.click(ui.testConnectionButton)
    assert ui.serverLabel.text.startswith(message) and not panel.controller.isBusy
    for text in (desktop.shown[-1].text, ui.serverLabel.text, ui.logText.plainText):
        assert "pass@" not in text and "two words" not in text and "secret" not in text


def test_opening_the_module_has_the_server_asked_for_the_checkpoint(
    desktop, module, remote, panel, ui, worker
):
    select(ui, KNOWN)
    desktop.show("SegmentEditor")
    before = len(worker.loaded)
    desktop.show(module)
    (loaded,) = worker.loaded[before:]
    assert loaded.model == "synapse" and loaded.server.url == URL
    enter(ui.serverAddressLineEdit, "")
    desktop.show("SegmentEditor")
    desktop.show(module)
    assert len(worker.loaded) == before + 1


def test_the_status_names_the_server_while_it_is_waited_for(desktop, remote, panel, ui, worker):
    worker.hold()
    desktop.click(ui.segmentButton)
    worker.let(1)
    desktop.wait_until(lambda: worker.steps_left == 0)
    panel.onTick()
    assert ui.statusLabel.text == "Asking gpu.hospital.example:8443 for the checkpoint…"
    worker.go_on()
    desktop.wait_until(lambda: not panel.controller.isBusy)


# Everything else that asks for slices


@pytest.fixture
def view(panel):
    node = add_slice_view()
    node.SetSliceOffset(4.0 * 3)
    yield node
    slicer.mrmlScene.RemoveNode(node)


def test_the_preview_is_asked_of_the_server_and_not_while_its_address_is_typed(
    desktop, view, remote, panel, ui, worker
):
    desktop.wait_until(lambda: ui.livePreviewCheckBox.enabled)
    desktop.click(ui.livePreviewCheckBox)
    desktop.wait_until(lambda: panel.preview._live.index == 3)
    asked = len(worker.previews)
    assert worker.previews[-1].model.server.url == URL
    ui.serverAddressLineEdit.text = "https://gpu.h"
    panel.onTick()
    panel.onTick()
    assert len(worker.previews) == asked and panel.preview._live.index == 3
    enter(ui.serverAddressLineEdit, "https://other.example")
    desktop.wait_until(lambda: len(worker.previews) > asked)
    assert worker.previews[-1].model.server.url == "https://other.example"


def test_the_neighbors_of_a_corrected_slice_are_asked_of_the_server(
    desktop, view, remote, panel, ui, worker, segment
):
    from reviewing import draw_into

    segment()
    panel.onTick()
    draw_into(panel.parameters.result, panel.parameters.inputVolume, 4)
    desktop.wait_until(lambda: ui.neighborsButton.enabled)
    desktop.click(ui.neighborsButton)
    desktop.wait_until(lambda: not panel.controller.isBusy)
    panel.onTick()
    assert len(worker.requests) == 2 and worker.corrections[-1].keys() == {4}
    assert worker.requests[-1][1].server.url == URL
    enter(ui.serverAddressLineEdit, "")
    panel.onTick()
    assert ui.neighborsButton.toolTip.startswith("The address of the server is missing.")
