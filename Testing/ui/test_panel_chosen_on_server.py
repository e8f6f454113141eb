"""A checkpoint that only the server knows stays the one that is chosen, whatever happens to it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import qt
import slicer
import slicer.util
from inference_server import inference_server
from model_files import CARD
from panels import add_ct, add_slice_view
from remote_run import name_server
from served_network import ServedNetwork

from GDLACore import storage
from GDLACore.errors import ServerError
from GDLACore.model.catalogue import find
from GDLACore.remote import RemoteServer

OWN = replace(CARD, name="own.model", title="Organs nobody else knows of")
ON_SERVER = f"{OWN.title} (on the server)"
UNKNOWN = "The checkpoint own.model is known only to the server."


@pytest.fixture
def server():
    with inference_server(ServedNetwork(find("demo-ct").card), ServedNetwork(OWN)) as server:
        yield server


@pytest.fixture
def panel(worker, widget):
    add_ct()
    widget.panel.ui.advancedSection.collapsed = False
    return widget.panel


@pytest.fixture
def ui(panel):
    return panel.ui


@pytest.fixture
def ask(desktop, panel, ui):
    def ask():
        desktop.click(ui.testConnectionButton)
        desktop.wait_until(lambda: not panel.controller.isBusy)
        panel.onTick()

    return ask


@pytest.fixture
def chosen(ui, server, ask):
    name_server(ui, server.url)
    ask()
    ui.modelComboBox.setCurrentIndex(ui.modelComboBox.findText(ON_SERVER))


@pytest.fixture
def segment(desktop, panel, ui):
    def segment(*answers):
        desktop.answer(*answers)
        desktop.click(ui.segmentButton)
        desktop.wait_until(lambda: not panel.controller.isBusy)
        panel.onTick()

    return segment


def test_an_address_that_one_goes_back_to_has_to_answer_again(chosen, ui, server, ask):
    name_server(ui, "http://127.0.0.1:9")
    name_server(ui, server.url)
    assert ui.modelComboBox.currentIndex == -1
    ask()
    assert ui.modelComboBox.currentText == ON_SERVER


def test_token_and_ca_file_leave_what_the_server_said(chosen, panel, ui, worker, segment):
    ui.serverTokenLineEdit.text = "abc"  # the keyboard is still in the field
    segment()
    asked = worker.requests[-1][1]
    assert (asked.model, asked.server.token) == ("own.model", "abc")
    ui.serverCAFileLineEdit.text = "/etc/hospital.pem"
    ui.serverCAFileLineEdit.editingFinished.emit()
    assert ui.modelComboBox.currentText == ON_SERVER


def test_another_address_typed_before_the_click_is_refused_and_no_other_checkpoint_runs(
    desktop, chosen, panel, ui, worker, segment
):
    ui.serverAddressLineEdit.text = "http://127.0.0.1:9"
    segment(qt.QMessageBox.Ok)
    assert worker.requests == [] and desktop.shown[-1].text.startswith(UNKNOWN)
    assert panel.parameters.modelName == "own.model" and ui.modelComboBox.currentIndex == -1
    assert ui.modelNoteLabel.text.startswith(UNKNOWN)
    assert not ui.livePreviewCheckBox.enabled and ui.livePreviewCheckBox.toolTip.startswith(UNKNOWN)


def test_a_test_that_fails_leaves_the_preview_with_the_checkpoint_that_is_chosen(
    desktop, chosen, panel, ui, worker, ask, monkeypatch
):
    from GDLASegmenterLib import ServerPart

    view = add_slice_view()
    view.SetSliceOffset(4.0 * 3)
    desktop.wait_until(lambda: ui.livePreviewCheckBox.enabled)
    desktop.click(ui.livePreviewCheckBox)
    desktop.wait_until(lambda: panel.preview._live.index == 3)

    def fail(server):
        raise ServerError("The server is being restarted.")

    monkeypatch.setattr(ServerPart, "check_server", fail)
    ask()
    assert ui.serverLabel.text == "The server is being restarted."
    assert ui.modelComboBox.currentText == ON_SERVER
    view.SetSliceOffset(4.0 * 7)
    desktop.wait_until(lambda: panel.preview._live.index == 7)
    assert {request.model.model for request in worker.previews} == {"own.model"}
    slicer.mrmlScene.RemoveNode(view)


def test_a_scene_that_names_it_gets_it_back_with_the_next_test(desktop, module, chosen):
    again = desktop.reload(module).panel
    again.ui.advancedSection.collapsed = False
    assert again.parameters.modelName == "own.model" and again.ui.modelComboBox.currentIndex == -1
    assert again.ui.modelNoteLabel.text.startswith(UNKNOWN)
    desktop.click(again.ui.testConnectionButton)
    desktop.wait_until(lambda: not again.controller.isBusy)
    again.onTick()
    assert again.ui.modelComboBox.currentText == ON_SERVER
    assert again.inputs.model.card == OWN


def test_a_server_that_has_it_no_more_is_told_apart_from_one_that_was_not_asked(
    chosen, panel, ui, server, ask, segment, worker
):
    del server.networks[OWN.name]
    ask()
    segment(qt.QMessageBox.Ok)
    assert worker.requests == [] and panel.parameters.modelName == "own.model"
    assert ui.modelNoteLabel.text.startswith("The server does not offer the checkpoint own.model.")


def test_images_of_another_kind_choose_a_checkpoint_of_theirs(chosen, panel, ui):
    from GDLASegmenterLib.Parameters import Modality

    ui.serverAddressLineEdit.text = "http://127.0.0.1:9"
    ui.serverAddressLineEdit.editingFinished.emit()
    panel.parameters.modality = Modality.MR
    assert panel.inputs.model is not None and panel.inputs.model.card.modality == "MR"
    panel.parameters.modality = Modality.CT
    assert panel.inputs.model is not None and panel.inputs.model.card.modality == "CT"


def test_the_file_on_this_computer_counts_more_than_what_the_server_says_of_the_same_checkpoint(
    chosen, ui, worker, segment
):
    ui.modelComboBox.setCurrentIndex(ui.modelComboBox.findText(find("demo-ct").card.title))
    segment()
    assert worker.requests[-1][1].model.endswith("demo-ct.safetensors")


def test_the_damaged_file_of_a_checkpoint_is_not_what_a_server_is_asked_with(module, tmp_path):
    from GDLASegmenterLib.RequestOfParameters import modelRequest

    file = tmp_path / "synapse.safetensors"
    damaged = storage.StoredModel(
        "synapse", storage.DAMAGED, path=file, card=find("synapse").card, problem="It is cut off."
    )
    request = modelRequest(damaged, "auto", RemoteServer("https://gpu.hospital.example"))
    assert (request.model, request.card) == ("synapse", None)
