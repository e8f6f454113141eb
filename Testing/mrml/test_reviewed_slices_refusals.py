"""Runs are refused that could write nothing but reviewed slices, and no others."""

from __future__ import annotations

import numpy as np
import pytest
from edited_run import FIRST, SECOND, THIRD, VOXEL, kept, labels_in
from editing import reviewed

from GDLACore.errors import OutputError
from GDLASegmenterLib.ModelRecord import recordsOf
from GDLASegmenterLib.ReviewedSlices import ReviewedSlices
from GDLASegmenterLib.VolumeGrid import volumeGrid


def test_a_run_of_which_all_slices_were_reviewed_is_refused_before_anything_is_done(
    bench, volume_node, editor, node
):
    editor.dot(node, "liver", VOXEL)
    ReviewedSlices(node, volumeGrid(volume_node), 0).tick(3)
    requests = len(bench.worker.requests)
    states = editor.logic.CanUndo()
    with pytest.raises(OutputError, match="Each of 2 slices of .* was reviewed") as caught:
        bench.begin(volume_node, outputNode=node, slices=range(2, 4))
    assert "Untick Reviewed" in caught.value.hint
    with pytest.raises(OutputError, match="Slice 2 of .* was reviewed"):
        bench.begin(volume_node, outputNode=node, slices=range(2, 3))
    assert len(bench.worker.requests) == requests and editor.logic.CanUndo() == states
    assert not bench.logic.isBusy
    bench.segment(volume_node, outputNode=node, slices=range(2, 5))


def test_a_slice_whose_edit_was_undone_is_not_refused(bench, volume_node, editor, node):
    editor.dot(node, "liver", VOXEL)
    assert reviewed(node, volume_node).protected == {2}
    editor.logic.Undo()
    bench.segment(volume_node, outputNode=node, slices=range(2, 3))
    np.testing.assert_array_equal(labels_in(node), kept(SECOND, FIRST, 2))


def test_whether_a_click_is_refused_is_said_without_looking_at_all_slices(
    bench, volume_node, editor, node, monkeypatch
):
    slices = reviewed(node, volume_node)
    editor.dot(node, "liver", VOXEL)

    def refresh(self):
        raise AssertionError("it looks at all slices")

    monkeypatch.setattr(ReviewedSlices, "refresh", refresh)
    (record,) = recordsOf(node)
    with pytest.raises(OutputError, match="Slice 2 of .* was reviewed"):
        slices.check([2], record)
    slices.check([1, 2], record)


def test_a_slice_of_a_run_that_was_just_undone_is_not_refused(bench, volume_node, editor, node):
    bench.segment(volume_node, outputNode=node)
    editor.logic.Undo()  # and nobody has looked for edits since
    run = bench.segment(volume_node, outputNode=node, slices=range(2, 3))
    assert run.finishedSlices == 1
    np.testing.assert_array_equal(labels_in(node), kept(FIRST, THIRD, 0, 1, 3, 4, 5))


def test_when_all_were_edited_since_the_click_the_run_fails_and_says_so(
    bench, volume_node, editor, node
):
    run = bench.begin(volume_node, outputNode=node, slices=range(2, 4))
    for k in (2, 3):
        editor.dot(node, "liver", (k, 0, 0))
    before = labels_in(node)
    bench.to_the_end(run)
    assert "reviewed" in run.error.message and "Untick Reviewed" in run.error.hint
    np.testing.assert_array_equal(labels_in(node), before)
