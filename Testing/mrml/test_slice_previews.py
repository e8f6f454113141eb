"""Labels of single slices: the one wanted last comes first, and none is of another volume."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import slicer
import slicer.util
from nodes import add_grid_transform, add_label_map, add_linear_transform, add_volume
from preview_fixtures import LABELS, labelled_volume, preview_bench, preview_viewer  # noqa: F401
from previewing import Viewer, asked, settle
from segmenting import MODEL
from storage import PLANES, ijk_to_ras, shape

from GDLACore.errors import Cancelled, ServerError, VolumeError, WorkerError
from GDLACore.remote import RemoteServer
from GDLACore.worker import ModelRequest
from GDLASegmenterLib import LabelCache
from GDLASegmenterLib.SlicePreviews import SlicePreview, SlicePreviews

OTHER_LABELS = np.random.default_rng(6).integers(0, 4, (12, 7, 8)).astype(np.int16)


@pytest.mark.parametrize("plane", PLANES)
def test_a_slice_comes_as_the_volume_stores_it(bench, viewer, plane):
    size = shape("anisotropic", plane)
    labels = np.random.default_rng(1).integers(0, 4, size).astype(np.int16)
    volume = add_volume(labels, ijk_to_ras("anisotropic", plane, (-1, 1, -1)))
    viewer.want(volume, 3)
    settle(bench)
    (preview,) = viewer.previews
    assert preview.axis == {"axial": 0, "coronal": 1, "sagittal": 1}[plane]
    np.testing.assert_array_equal(preview.labels, labels.take(3, preview.axis))
    assert not preview.labels.flags.writeable
    assert preview.grid.volumeID == volume.GetID()


def test_of_slices_wanted_meanwhile_only_the_newest_is_asked_for(bench, viewer, volume):
    for index in (0, 4, 11, 7):
        viewer.want(volume, index)
    settle(bench)
    assert asked(bench) == [(0,), (7,)]
    assert viewer.indices == [7]


def test_what_came_too_late_is_known_when_it_is_wanted_again(bench, viewer, volume):
    viewer.want(volume, 0)
    viewer.want(volume, 7)
    settle(bench)
    viewer.want(volume, 0)
    assert viewer.indices == [7, 0]
    assert asked(bench) == [(0,), (7,)]


def test_everybody_who_wants_a_slice_gets_it_the_newest_first(bench, volume):
    first, second, third = Viewer(bench), Viewer(bench), Viewer(bench)
    first.want(volume, 1)
    second.want(volume, 5)
    third.want(volume, 9)
    settle(bench)
    assert asked(bench) == [(1,), (9,), (5,)]
    assert (first.indices, second.indices, third.indices) == ([1], [5], [9])


def test_scrolling_brings_the_slices_that_come_next(bench, viewer, volume):
    for index in (4, 5, 6):
        viewer.want(volume, index)
        settle(bench)
    # After 5 four in advance; so 6 was known, and one more followed.
    assert asked(bench) == [(index,) for index in (4, 5, 6, 7, 8, 9, 10)]
    viewer.want(volume, 5)
    settle(bench)
    assert asked(bench)[7:] == [(3,), (2,), (1,)]


def test_scrolling_stops_at_the_last_slice(bench, viewer, volume):
    for index in (1, 0, 10, 11):
        viewer.want(volume, index)
        settle(bench)
    assert {index for indices in asked(bench) for index in indices} == {0, 1, 10, 11}


def test_after_a_jump_nothing_is_computed_in_advance(bench, viewer, volume):
    for index in (0, 6, 11, 3):
        viewer.want(volume, index)
        settle(bench)
    assert asked(bench) == [(0,), (6,), (11,), (3,)]


def test_a_slice_computed_in_advance_waits_for_the_one_that_is_wanted(bench, viewer, volume):
    viewer.want(volume, 4)
    settle(bench)
    viewer.want(volume, 5)
    bench.until(lambda: len(asked(bench)) == 4)  # now in advance
    viewer.want(volume, 0)
    settle(bench)
    assert asked(bench) == [(4,), (5,), (6,), (7,), (0,)]
    assert viewer.indices == [4, 5, 0]


def _change_voxels(volume):
    slicer.util.updateVolumeFromArray(volume, OTHER_LABELS)


def _change_in_place(volume):
    slicer.util.arrayFromVolume(volume)[:] = OTHER_LABELS
    slicer.util.arrayFromVolumeModified(volume)


@pytest.mark.parametrize("change", [_change_voxels, _change_in_place])
@pytest.mark.parametrize("answered", [False, True], ids=["under way", "known"])
def test_a_slice_of_a_changed_volume_is_found_anew(bench, viewer, volume, change, answered):
    viewer.want(volume, 2)
    if answered:
        settle(bench)
        viewer.previews.clear()
    change(volume)
    if answered:
        viewer.want(volume, 2)
    settle(bench)
    (preview,) = viewer.previews
    np.testing.assert_array_equal(preview.labels, OTHER_LABELS[2])
    first, second = (request.key for request in bench.worker.previews)
    assert first != second


def test_a_slice_of_a_volume_that_moved_is_found_anew_and_is_where_it_is_now(bench, viewer, volume):
    transform = add_linear_transform(np.eye(4))
    volume.SetAndObserveTransformNodeID(transform.GetID())
    viewer.want(volume, 2)
    moved = np.eye(4)
    moved[2, 3] = 40
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(moved))
    settle(bench)
    assert len(asked(bench)) == 2
    np.testing.assert_array_equal(bench.worker.previews[-1].volume.ijk_to_ras, moved)
    assert viewer.previews[0].grid.transformID == transform.GetID()


def test_models_and_borders_are_kept_apart(bench, viewer, volume):
    for model in (MODEL, ModelRequest("another")):
        for borders in ("smooth", "published"):
            viewer.want(volume, 2, model, borders)
            settle(bench)
    asked = [(request.model.model, request.borders) for request in bench.worker.previews]
    assert asked == [
        *(("abdomen", "smooth"), ("abdomen", "published")),
        *(("another", "smooth"), ("another", "published")),
    ]


def test_a_slice_is_found_anew_if_the_file_of_the_model_was_replaced(
    bench, viewer, volume, tmp_path
):
    file = tmp_path / "liver.onnx"
    model = ModelRequest(str(file))
    for content in (b"old", b"newer", b"newer"):
        if not file.exists() or file.read_bytes() != content:
            file.write_bytes(content)
        viewer.want(volume, 2, model)
        settle(bench)
    assert asked(bench) == [(2,), (2,)]
    assert viewer.indices == [2, 2, 2]


def test_a_model_file_replaced_while_it_is_asked_for_is_asked_again(
    bench, viewer, volume, tmp_path
):
    file = tmp_path / "liver.onnx"
    file.write_bytes(b"old")
    viewer.want(volume, 2, ModelRequest(str(file)))
    file.write_bytes(b"newer")
    settle(bench)
    assert asked(bench) == [(2,), (2,)]
    assert viewer.indices == [2]


@pytest.mark.parametrize("isOfRun", [False, True])
def test_a_slice_is_found_anew_if_the_server_has_failed_since(bench, viewer, volume, isOfRun):
    model = ModelRequest("abdomen", server=RemoteServer("https://gpu.hospital.example"))
    viewer.want(volume, 2, model)
    settle(bench)
    bench.worker.fail(ServerError("The server has another model than a moment ago."))
    if isOfRun:
        assert bench.to_the_end(bench.begin(volume)).error is not None
    else:
        viewer.want(volume, 3, model)
        settle(bench)
    viewer.want(volume, 2, model)
    settle(bench)
    assert [request.indices for request in bench.worker.previews].count((2,)) == 2


def test_what_another_card_says_of_the_same_model_is_found_anew(bench, viewer, volume):
    viewer.want(volume, 2)
    settle(bench)
    bench.card = dataclasses.replace(bench.card, version="2")
    viewer.want(volume, 2)
    settle(bench)
    assert asked(bench) == [(2,), (2,)]
    assert [preview.card.version for preview in viewer.previews][1] == "2"


def test_what_the_worker_warns_of_is_known_once_until_it_is_about_something_else(
    bench, viewer, volume
):
    for index in (2, 5):
        viewer.want(volume, index)
        for _ in range(2):
            bench.worker.warn("CT is too bright.")
        settle(bench)
        assert bench.logic.previews.warnings == ["CT is too bright."]
    viewer.want(volume, 2)
    assert bench.logic.previews.warnings == ["CT is too bright."]
    viewer.want(add_volume(OTHER_LABELS, name="MR"), 2)
    assert bench.logic.previews.warnings == []


def test_a_segmentation_tells_what_was_warned_of_and_only_what_still_holds_is_said_again(
    bench, viewer, volume
):
    viewer.want(volume, 2)
    bench.worker.warn("Going on on this computer.")
    settle(bench)
    bench.segment(volume)
    assert bench.logic.previews.warnings == []


def test_the_volume_is_handed_over_under_one_key_as_long_as_it_is_the_same(bench, viewer, volume):
    for index in (0, 5, 9):
        viewer.want(volume, index)
        settle(bench)
    assert len({request.key for request in bench.worker.previews}) == 1


def test_of_a_removed_volume_one_sentence_is_said(bench, viewer, scene, volume):
    viewer.want(volume, 2)
    viewer.want(volume, 9)
    scene.RemoveNode(volume)
    settle(bench)
    (error,) = viewer.errors
    assert error.message == "CT is not in the scene any more."
    assert viewer.previews == []


def test_a_volume_bent_meanwhile_is_refused_once(bench, viewer, volume):
    viewer.want(volume, 2)
    volume.SetAndObserveTransformNodeID(add_grid_transform().GetID())
    settle(bench)
    (error,) = viewer.errors
    assert "bends it" in error.message
    assert viewer.previews == []


@pytest.mark.parametrize("index", [-1, 12])
def test_a_slice_that_is_not_there_is_refused(bench, viewer, volume, index):
    with pytest.raises(VolumeError, match=f"CT has no slice {index} of 12"):
        viewer.want(volume, index)


def test_a_slice_that_a_smaller_volume_no_longer_has_is_refused(bench, viewer, volume):
    viewer.want(volume, 11)
    slicer.util.updateVolumeFromArray(volume, LABELS[:5])
    settle(bench)
    assert [error.message for error in viewer.errors] == ["CT has no slice 11 of 5."]


def test_a_label_map_is_refused(bench, viewer):
    with pytest.raises(VolumeError, match="is a label map"):
        viewer.want(add_label_map(LABELS), 2)


def test_a_failure_is_told_once_and_the_next_slice_comes(bench, viewer, volume):
    viewer.want(volume, 2)
    viewer.want(volume, 4)
    bench.worker.fail(WorkerError("The background process has died."))
    settle(bench)
    assert [error.message for error in viewer.errors] == ["The background process has died."]
    assert len(asked(bench)) == 1
    viewer.want(volume, 5)
    settle(bench)
    assert viewer.indices == [5]


def test_a_slice_waits_for_the_end_of_a_run(bench, viewer, volume):
    viewer.want(volume, 2)
    run = bench.begin(volume)
    viewer.want(volume, 9)
    bench.until(lambda: run.finishedSlices > 0)
    assert not bench.logic.previews.isWaiting
    assert viewer.previews == []
    bench.to_the_end(run)
    settle(bench)
    assert viewer.indices == [9]
    assert run.error is None


def test_a_worker_that_was_ended_meanwhile_is_asked_again(bench, viewer, volume, monkeypatch):
    viewer.want(volume, 2)
    monkeypatch.setattr(bench.worker, "_preview", None)  # as after WorkerHost.close()
    bench.update()
    assert asked(bench) == [(2,), (2,)]
    settle(bench)
    assert viewer.indices == [2]


def test_nobody_is_called_for_a_slice_that_was_dropped(bench, viewer, volume):
    viewer.want(volume, 2)
    bench.logic.previews.drop(viewer.on_labels)
    settle(bench)
    assert viewer.previews == []
    assert asked(bench) == [(2,)]


def test_closing_the_scene_forgets_everything(bench, viewer, scene, volume):
    viewer.want(volume, 2)
    scene.Clear(0)
    bench.update()
    bench.update()
    assert viewer.previews == []
    assert [error.message for error in viewer.errors] == [
        "Slice 2 is not being segmented any more."
    ]
    assert not bench.logic.previews.isWaiting


def test_who_waits_when_the_module_is_closed_is_told_and_cannot_ask_again(bench, viewer, volume):
    viewer.want(volume, 2)
    bench.logic.cleanup()
    assert [error.message for error in viewer.errors] == [
        "Slice 2 is not being segmented any more."
    ]
    with pytest.raises(Cancelled, match="The module was closed"):
        viewer.want(volume, 3)
    assert asked(bench) == [(2,)]


def test_who_gets_a_slice_may_want_another_at_once(bench, volume):
    class Greedy(Viewer):
        def on_labels(self, preview: SlicePreview) -> None:
            super().on_labels(preview)
            if preview.index < 9:
                self.want(volume, preview.index + 3)

    greedy = Greedy(bench)
    greedy.want(volume, 0)
    settle(bench)
    assert greedy.indices == [0, 3, 6, 9]


def test_only_the_slices_looked_at_last_are_kept(bench, viewer, volume, monkeypatch):
    monkeypatch.setattr(LabelCache, "_BYTES", 2 * LABELS[0].size)  # of uint8
    bench.logic.previews.cancel()
    for index in (0, 5, 0, 10):
        viewer.want(volume, index)
        settle(bench)
    assert asked(bench) == [(0,), (5,), (10,)]
    viewer.want(volume, 0)
    assert len(asked(bench)) == 3
    viewer.want(volume, 5)
    assert asked(bench)[3:] == [(5,)]


def test_events_about_others_are_passed_over(bench, volume):
    previews = SlicePreviews(bench.worker)
    viewer = Viewer(bench)
    viewer.want(volume, 2)
    for event in bench.worker.poll():
        previews.receive(event)
    assert viewer.previews == []
