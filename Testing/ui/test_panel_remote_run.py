"""A volume segmented by a real server and a real worker, on a computer without ONNX Runtime."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import qt
import slicer
import slicer.util
from inference_server import inference_server
from model_files import CARD
from panels import add_slice_view
from remote_run import SLICES, finish, found_in, name_server, nobody
from served_network import ServedNetwork

from GDLACore.engine import load_engine
from GDLACore.installation import installed_builds
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import segment_volume
from GDLACore.remote import RemoteServer

pytest_plugins = ("remote_run",)

TOKEN = "se.cret-7"
OWN = replace(CARD, name="own.model", title="Organs nobody else knows of")


@pytest.fixture
def engine():
    with load_engine("demo-ct", device="cpu") as engine:
        yield engine


@pytest.fixture
def patient(monkeypatch):
    """A panel that waits for an answer for ten minutes: longer than a test waits for anything."""
    from GDLASegmenterLib import ServerPart

    monkeypatch.setattr(ServerPart, "RemoteServer", partial(RemoteServer, timeout_s=600))


def hang(handler, reply):
    handler.server.reached.set()
    handler.server.released.wait()


def test_a_click_segments_on_the_server_and_gives_what_this_computer_would(
    desktop, bare, sample, engine
):
    from GDLASegmenterLib.VolumeInput import readVolume

    card, ui = engine.card, bare.ui
    expected = segment_volume(readVolume(sample), engine, SegmentOptions(SLICES))
    with inference_server(ServedNetwork(card, engine.logits), token=TOKEN) as server:
        name_server(ui, server.url, TOKEN)
        finish(desktop, bare)
        assert "structures" in ui.statusLabel.text, ui.statusLabel.text
        assert f"server 127.0.0.1:{server.port} (triton 2.51" in ui.statusLabel.text.lower()
        assert len(server.inferences) > 0 and desktop.shown == []
        private = (sample.GetName(), str(slicer.app.temporaryPath), "CT-")
        for request in server.requests:
            told = f"{request.path} {request.headers}"
            assert not any(word in told for word in private)
    found = found_in(bare.parameters.result, sample, card.labels)
    assert expected.any()
    # Slices travel in 16 bits: where two structures are as good as equal, either may win.
    assert np.count_nonzero(found != expected) <= 1e-5 * expected[SLICES.start : SLICES.stop].size
    assert TOKEN not in bare.worker.log() + ui.logText.plainText


def test_a_checkpoint_of_the_server_alone_is_previewed_and_segmented_by_a_worker(
    desktop, bare, sample
):
    from GDLASegmenterLib.VolumeInput import readVolume

    ui, view = bare.ui, add_slice_view()
    bounds = np.zeros(6)
    sample.GetRASBounds(bounds)
    view.SetSliceOffset(bounds[4:].mean())
    with inference_server(ServedNetwork(OWN)) as server:
        name_server(ui, server.url)
        desktop.click(ui.testConnectionButton)
        desktop.wait_until(lambda: not bare.controller.isBusy)
        bare.parameters.modelName = OWN.name
        desktop.wait_until(lambda: ui.livePreviewCheckBox.enabled)
        desktop.click(ui.livePreviewCheckBox)
        desktop.wait_until(lambda: bare.preview._live.index is not None)
        asked = len(server.inferences)
        finish(desktop, bare)
        assert "structures" in ui.statusLabel.text, ui.statusLabel.text
        assert 0 < asked < len(server.inferences)
        desktop.click(ui.livePreviewCheckBox)
        bare.onTick()
        with load_engine(OWN.name, server=RemoteServer(server.url)) as engine:
            expected = segment_volume(readVolume(sample), engine, SegmentOptions(SLICES))
    found = found_in(bare.parameters.result, sample, OWN.labels)
    assert expected.any()
    np.testing.assert_array_equal(found, expected)
    slicer.mrmlScene.RemoveNode(view)


def test_a_server_that_is_gone_is_said_in_one_sentence_and_the_scene_stays(desktop, bare):
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    with nobody() as address:
        name_server(bare.ui, f"http://{address}")
        finish(desktop, bare, qt.QMessageBox.Ok)
    assert address in desktop.shown[-1].text
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes and bare.parameters.result is None


def test_who_allowed_it_gets_the_result_of_this_computer_and_is_told_why(
    desktop, bare, sample, engine
):
    from GDLASegmenterLib.VolumeInput import readVolume

    with nobody() as address:
        name_server(bare.ui, f"http://{address}")
        desktop.click(bare.ui.fallBackCheckBox)
        finish(desktop, bare)
    expected = segment_volume(readVolume(sample), engine, SegmentOptions(SLICES))
    found = found_in(bare.parameters.result, sample, engine.card.labels)
    np.testing.assert_array_equal(found, expected)
    result, *warnings = bare.ui.statusLabel.text.splitlines()
    assert "structures" in result and "CPU" in result
    assert any(address in warning for warning in warnings), warnings


def test_cancel_does_not_wait_for_a_server_that_hangs(desktop, bare, patient, engine):
    with inference_server(ServedNetwork(engine.card, engine.logits)) as server:
        server.script = [hang] * 20
        name_server(bare.ui, server.url)
        nodes = slicer.mrmlScene.GetNumberOfNodes()
        desktop.click(bare.ui.segmentButton)
        desktop.wait_until(server.reached.is_set)
        desktop.click(bare.ui.cancelButton)
        desktop.wait_until(lambda: not bare.controller.isBusy)
        bare.onTick()
        assert bare.ui.statusLabel.text == "Stopped. Nothing was changed."
        assert slicer.mrmlScene.GetNumberOfNodes() == nodes
        server.script = []
        finish(desktop, bare)
        assert "structures" in bare.ui.statusLabel.text


def test_another_version_of_the_checkpoint_is_asked_for_with_the_next_click(desktop, bare, engine):
    with inference_server(ServedNetwork(engine.card, engine.logits)) as server:
        name_server(bare.ui, server.url)
        finish(desktop, bare)
        server.networks[engine.card.name].version = "2"
        finish(desktop, bare, qt.QMessageBox.Ok)
        assert bare.ui.statusLabel.text.startswith("Failed: ")
        finish(desktop, bare)
        assert "version 2" in bare.ui.statusLabel.text


def test_the_preview_goes_on_here_at_once_when_a_server_that_hangs_is_left(
    desktop, bare, patient, sample, engine, monkeypatch
):
    from GDLASegmenterLib import SlicePreviews

    monkeypatch.setattr(SlicePreviews, "_PATIENCE_S", 0.1)
    bare.environment._inSlicer = installed_builds()
    ui, view = bare.ui, add_slice_view()
    bounds = np.zeros(6)
    sample.GetRASBounds(bounds)
    view.SetSliceOffset(bounds[4:].mean())
    with inference_server(ServedNetwork(engine.card, engine.logits)) as server:
        server.script = [hang] * 20
        name_server(ui, server.url)
        desktop.wait_until(lambda: ui.livePreviewCheckBox.enabled)
        desktop.click(ui.livePreviewCheckBox)
        desktop.wait_until(server.reached.is_set)
        desktop.wait_until(lambda: ui.previewNoteLabel.text.startswith("Waiting for "))
        assert ui.previewNoteLabel.text == f"Waiting for 127.0.0.1:{server.port}…"
        ui.deviceComboBox.setCurrentIndex(ui.deviceComboBox.findData("cpu"))
        desktop.wait_until(lambda: bare.preview._live.index is not None)
        assert not ui.previewNoteLabel.text.startswith("Waiting")
    desktop.click(ui.livePreviewCheckBox)
    bare.onTick()
    slicer.mrmlScene.RemoveNode(view)
