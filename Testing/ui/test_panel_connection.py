"""Test connection: what a real server says of itself, and what becomes of it in the panel."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest
import slicer
import slicer.util
from inference_server import AUTHORITY, TLS, inference_server
from model_files import CARD
from panels import add_ct, segment_voxels, state_of
from remote_run import name_server, nobody
from served_network import ServedNetwork

from GDLACore.model.catalogue import find
from GDLACore.remote import ServerReport

TOKEN = "se.cret-7"
SYNAPSE = find("synapse").card
OWN = replace(CARD, name="own.model", title="Organs nobody else knows of")


@pytest.fixture
def server():
    networks = (
        ServedNetwork(find("demo-ct").card),
        ServedNetwork(SYNAPSE, state="UNAVAILABLE", reason="it is being loaded"),
        ServedNetwork(OWN, version="3"),
        ServedNetwork(replace(CARD, name="silent"), tells_card=False),
    )
    with inference_server(*networks, token=TOKEN) as server:
        yield server


@pytest.fixture
def panel(worker, widget):
    add_ct()
    widget.panel.ui.advancedSection.collapsed = False
    return widget.panel


@pytest.fixture
def ui(panel):
    return panel.ui


def titles(ui):
    return [ui.modelComboBox.itemText(n) for n in range(ui.modelComboBox.count)]


@pytest.fixture
def ask(desktop, panel, ui):
    """Test the connection, and return what is said of it."""

    def ask():
        desktop.click(ui.testConnectionButton)
        desktop.wait_until(lambda: not panel.controller.isBusy)
        panel.onTick()
        return ui.serverLabel.text

    return ask


# Test connection


def test_the_server_says_what_it_is_and_which_checkpoints_it_has(desktop, ui, server, ask):
    name_server(ui, server.url, TOKEN)
    first, *models = ask().splitlines()
    assert first.startswith("Triton 2.51.0 answers in ") and first.endswith(" ms.")
    assert f"demo-ct, version 1: {find('demo-ct').card.title}" in models
    assert f"own.model, version 3: {OWN.title}" in models
    (synapse,) = [line for line in models if line.startswith("synapse, version 1: ")]
    assert synapse.endswith(".") and len(models) == 4
    assert ui.statusLabel.text == f"127.0.0.1:{server.port} answers."
    assert desktop.shown == [] and server.inferences == []
    sent = [request.path for request in server.requests]
    assert sent and all(path.startswith("/v2") for path in sent)


def test_a_checkpoint_that_only_the_server_knows_can_be_chosen_and_segments(
    desktop, panel, ui, worker, server, ask
):
    name_server(ui, server.url, TOKEN)
    assert f"{OWN.title} (on the server)" not in titles(ui)
    ask()
    shown = titles(ui)
    assert shown.index(f"{OWN.title} (on the server)") < shown.index(
        f"{SYNAPSE.title} (not on this computer)"
    )
    ui.modelComboBox.setCurrentIndex(ui.modelComboBox.findText(f"{OWN.title} (on the server)"))
    assert OWN.labels[0].name in ui.modelNoteLabel.text and not ui.removeModelButton.enabled
    desktop.click(ui.segmentButton)
    desktop.wait_until(lambda: not panel.controller.isBusy)
    panel.onTick()
    asked = worker.requests[-1][1]
    assert (asked.model, asked.server.url) == ("own.model", server.url)
    names = panel.parameters.result.GetSegmentation().GetNthSegment(0).GetName()
    assert names == OWN.labels[0].name and segment_voxels(panel.parameters.result)
    ui.deviceComboBox.setCurrentIndex(ui.deviceComboBox.findData("cpu"))
    assert f"{OWN.title} (on the server)" not in titles(ui) and ui.modelComboBox.currentIndex == -1
    assert ui.modelNoteLabel.text.startswith("The checkpoint own.model is not on this computer.")
    ui.deviceComboBox.setCurrentIndex(ui.deviceComboBox.findData("remote"))
    assert ui.modelComboBox.currentText == f"{OWN.title} (on the server)"


def test_what_was_said_of_one_server_is_not_believed_of_another(panel, ui, server, ask):
    name_server(ui, server.url, TOKEN)
    ask()
    ui.fallBackCheckBox.checked = True
    assert "own.model" in panel.environment.offered and ui.serverLabel.text
    name_server(ui, "http://127.0.0.1:9")
    assert panel.environment.offered == {}
    assert ui.serverLabel.text.startswith("The token was that of 127.0.0.1")
    assert f"{OWN.title} (on the server)" not in titles(ui)


def test_what_is_wrong_with_a_server_is_said_in_one_sentence_and_can_be_tried_again(
    desktop, panel, ui, server, ask
):
    name_server(ui, server.url, "wrong-token")
    said = ask()
    assert f"127.0.0.1:{server.port}" in said and "wrong-token" not in said
    assert ui.statusLabel.text in said and len(said.split(". ")) == 2
    assert state_of(slicer.modules.GDLASegmenterWidget) == "done" and desktop.shown == []
    name_server(ui, server.url, TOKEN)
    assert ask().startswith("Triton 2.51.0 answers in ")


def test_nobody_at_the_address_is_said_and_nothing_is_offered(panel, ui, ask):
    with nobody() as address:
        name_server(ui, f"http://{address}")
        assert address in ask()
    assert panel.environment.offered == {}


def test_a_server_of_the_hospitals_own_authority_needs_the_ca_file(desktop, ui, ask):
    with inference_server(ServedNetwork(OWN), certificate=TLS / "server.pem") as server:
        name_server(ui, server.url)
        assert "certificate" in ask()
        desktop.answer(str(AUTHORITY))
        desktop.click(ui.chooseCAFileButton)
        assert ask().startswith("Triton 2.51.0 answers in ")


@pytest.mark.parametrize(
    ("url", "isTold"),
    [("http://gpu.example", True), ("https://gpu.example", False), ("http://127.0.0.1", False)],
)
def test_whoever_could_listen_is_told_of(desktop, panel, ui, ask, monkeypatch, url, isTold):
    from GDLASegmenterLib import ServerPart

    report = ServerReport("Triton", "2.51.0", 0.02, ())
    monkeypatch.setattr(ServerPart, "check_server", lambda server: report)
    name_server(ui, url)
    told = "Nothing is encrypted: who can listen on the way sees the slices."
    expected = ["Triton 2.51.0 answers in 20 ms.", *[told] * isTold, "It has no models."]
    assert ask().splitlines() == expected


def test_a_test_of_a_server_that_says_nothing_can_be_cancelled(desktop, panel, ui, monkeypatch):
    from GDLASegmenterLib import Panel

    monkeypatch.setattr(Panel, "_TICK_MS", 50)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        name_server(ui, f"http://127.0.0.1:{listener.getsockname()[1]}")
        desktop.click(ui.testConnectionButton)
        panel.onTick()
        assert ui.statusLabel.text.startswith("Asking 127.0.0.1:") and ui.cancelButton.enabled
        assert not ui.advancedSection.enabled
        # The answer's time would else be the window's, not the server's.
        assert panel._timer.interval == 10
        desktop.click(ui.cancelButton)
        desktop.wait_until(lambda: not panel.controller.isBusy)
        panel.onTick()
        assert panel._timer.interval == 50 and ui.statusLabel.text.startswith("Stopped.")
        assert ui.testConnectionButton.enabled
