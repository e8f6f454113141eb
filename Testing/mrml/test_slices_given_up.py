"""Slices that are wanted of a server that does not answer: whoever goes elsewhere need not wait."""

from __future__ import annotations

from preview_fixtures import LABELS, labelled_volume, preview_bench, preview_viewer  # noqa: F401
from previewing import Viewer, asked, settle
from segmenting import MODEL

from GDLACore.remote import RemoteServer
from GDLACore.worker import ModelRequest
from GDLASegmenterLib import SlicePreviews as module


def test_what_nobody_wants_of_its_model_any_more_is_given_up(bench, viewer, volume):
    silent = ModelRequest("abdomen", server=RemoteServer("https://gpu.hospital.example"))
    viewer.want(volume, 2, silent)
    assert bench.worker.previewing
    viewer.want(volume, 3)  # here, and at once
    assert [request.model for request in bench.worker.previews] == [silent, MODEL]
    settle(bench)
    assert viewer.indices == [3] and viewer.errors == []
    viewer.want(volume, 4, silent)
    bench.logic.previews.drop(viewer.on_labels)
    bench.logic.previews.update()
    assert not bench.worker.previewing and not bench.logic.previews.isWaiting
    settle(bench)
    assert viewer.indices == [3] and viewer.errors == []


def test_another_slice_of_the_same_model_does_not_give_up_the_one_under_way(bench, volume):
    first, second = Viewer(bench), Viewer(bench)
    first.want(volume, 2)
    second.want(volume, 5)
    bench.logic.previews.drop(first.on_labels)
    bench.logic.previews.update()
    assert asked(bench) == [(2,)]
    settle(bench)
    assert asked(bench) == [(2,), (5,)] and second.indices == [5]


def test_a_server_that_takes_long_is_named_to_whom_it_keeps_waiting(
    bench, viewer, volume, monkeypatch
):
    previews, server = bench.logic.previews, RemoteServer("https://gpu.hospital.example:8443")
    monkeypatch.setattr(module, "_PATIENCE_S", 600)
    viewer.want(volume, 2, ModelRequest("abdomen", server=server))
    assert previews.waiting == ""
    monkeypatch.setattr(module, "_PATIENCE_S", 0)
    assert previews.waiting == "Waiting for gpu.hospital.example:8443…"
    settle(bench)
    assert previews.waiting == ""
    viewer.want(volume, 3, ModelRequest("abdomen", server=server))
    bench.until(lambda: len(asked(bench)) == 3)
    assert bench.worker.previewing and previews.waiting == ""  # in advance, for nobody yet
    viewer.want(volume, 3)
    assert bench.worker.previewing and previews.waiting == ""  # this computer
