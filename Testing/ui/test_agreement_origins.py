"""A model is compared with what it made by itself, under the versions that made it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import slicer
from nodes import add_roi, add_volume
from phantom import make_card, make_labels

FIRST = make_labels()
SECOND, THIRD = np.roll(FIRST, 1, axis=2), np.roll(FIRST, 1, axis=1)
SHAPE = FIRST.shape


@pytest.fixture
def volume(module):
    return add_volume(FIRST.astype(np.int16))


@pytest.fixture
def editor(volume):
    from editing import Editor

    return Editor(slicer.mrmlScene, volume, SHAPE)


@pytest.fixture
def node(volume, editor):
    """What the first version of a model made of the volume, in the editor."""
    node = segment(None, volume, FIRST)
    editor.edit(node)
    return node


@pytest.fixture
def correction(editor, node):
    """What the user made of slice 2, by number."""
    from segmenting import label_map

    editor.dot(node, "liver", (2, 0, 0))
    return {2: label_map(node, make_card(), SHAPE)[2]}


def looked_at(node, volume):
    """Return what is reviewed in ``node``, looked for anew."""
    from editing import reviewed

    return reviewed(node, volume)


def reports(node) -> dict[str, tuple[int, str, float]]:
    """Return the number of slices compared, the versions and the Dice of "all" and "reviewed"."""
    from GDLASegmenterLib.AgreementTable import agreementSteps

    steps = agreementSteps(node)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return {
                one.slices: (one.count, one.version, one.agreements[-1].dice) for one in end.value
            }


def bench_of(labels: np.ndarray, version: str, save_state=None):
    """Return a logic with a version of the model that finds ``labels``."""
    from segmenting import Bench

    card = dataclasses.replace(make_card(), version=version)
    return Bench(slicer.mrmlScene, lambda volume: labels, card, save_state_for_undo=save_state)


def segment(node, volume, labels, version="1", save_state=None, **options):
    """Segment with a version of the model that finds ``labels``."""
    bench = bench_of(labels, version, save_state)
    run = bench.segment(volume, outputNode=node, **options)
    bench.logic.cleanup()
    return run.segmentationNode


def test_slices_made_with_corrections_of_others_are_left_out(volume, node, correction):
    segment(node, volume, SECOND, corrections=correction, slices=range(1, SHAPE[0] - 1))
    found = looked_at(node, volume)
    for index in range(SHAPE[0]):
        found.tick(index)
    compared = reports(node)
    assert {which: count for which, (count, *_others) in compared.items()} == {
        "all": 3,
        "reviewed": 3,
    }
    assert compared["reviewed"][2] < 1, "slice 2 was corrected"


def test_they_count_again_once_the_model_made_them_by_itself(volume, node, correction):
    segment(node, volume, SECOND, corrections=correction)
    segment(node, volume, THIRD, slices=range(4, 6))
    assert reports(node)["all"][0] == 3


def test_undoing_and_redoing_the_run_with_corrections_is_followed(volume, editor, node, correction):
    segment(node, volume, SECOND, "2", editor.save_state, corrections=correction)
    looked_at(node, volume)
    editor.logic.Undo()
    assert reports(node)["all"][:2] == (SHAPE[0], "1")
    editor.logic.Redo()
    assert reports(node)["all"][:2] == (1, "1")


def test_taking_the_run_back_takes_its_origin_back(volume, node, correction):
    bench = bench_of(SECOND, "2")
    run = bench.begin(volume, outputNode=node, corrections=correction)
    bench.until(lambda: run.finishedSlices > 2)
    bench.logic.cancel(keepFinishedSlices=False)
    bench.to_the_end(run)
    bench.logic.cleanup()
    assert reports(node)["all"][:2] == (SHAPE[0], "1")


def test_where_all_was_made_with_corrections_there_is_nothing_to_compare(volume):
    from GDLACore.errors import OutputError

    node = segment(None, volume, FIRST, corrections={2: FIRST[2]})
    with pytest.raises(OutputError, match="No model made .* without corrections") as refused:
        reports(node)
    assert "by itself" in refused.value.hint


def test_each_slice_counts_under_the_version_that_made_it(volume, node):
    segment(node, volume, SECOND, "2", slices=range(3, 4))
    found = looked_at(node, volume)
    found.tick(0)
    versions = {which: version for which, (_n, version, _dice) in reports(node).items()}
    assert versions == {"all": "1, 2", "reviewed": "1"}
    found.release(0)
    found.tick(3)
    assert reports(node)["reviewed"][1] == "2"


def test_a_slice_of_which_a_version_wrote_a_part_is_of_both(volume, node):
    box = add_roi((2, 2, 3), (3, 3, 1))
    segment(node, volume, SECOND, "2", regionNode=box)
    looked_at(node, volume).tick(3)
    assert reports(node)["reviewed"][1] == "1, 2"


def test_origins_are_found_on_a_volume_that_counts_the_other_way(volume, node):
    matrix = np.diag([1.0, 1, -1, 1])
    matrix[2, 3] = SHAPE[0] - 1
    turned = add_volume(FIRST[::-1].astype(np.int16), matrix, "turned")
    segment(node, turned, SECOND, "2", slices=range(1))
    looked_at(node, volume).tick(5)
    assert reports(node)["reviewed"][1] == "2"
    assert reports(node)["all"][1] == "1, 2"


def test_what_somebody_found_there_is_of_the_version_that_its_segments_tell(volume, node):
    from GDLASegmenterLib.ModelRecord import recordOf

    slicer.mrmlScene.RemoveNode(recordOf(node, "abdomen").node)
    node.RemoveAttribute("GDLA.Origins")
    segment(node, volume, SECOND, "2", slices=range(3, 4))
    assert reports(node)["all"][1] == "1, 2"


def test_slices_that_no_run_has_written_are_left_out(volume, editor):
    node = segment(None, volume, FIRST, slices=range(2, 4))
    editor.dot(node, "liver", (5, 0, 0))
    looked_at(node, volume).tick(4)
    assert reports(node) == {"all": (2, "1", 1.0)}
    node.RemoveAttribute("GDLA.Origins")  # as if of before anything was noted
    counts = {which: count for which, (count, *_others) in reports(node).items()}
    assert counts == {"all": SHAPE[0], "reviewed": 2}


def test_where_the_effect_alone_wrote_there_is_nothing_to_compare(volume, editor):
    from GDLACore.errors import OutputError
    from GDLASegmenterLib.ModelSegments import addSegments
    from GDLASegmenterLib.ReviewedSlices import ReviewedSlices
    from GDLASegmenterLib.VolumeGrid import adoptGrid, volumeGrid

    node, grid = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode"), volumeGrid(volume)
    adoptGrid(node, grid, isNew=True)
    for _step in ReviewedSlices(node, grid, 0).recordFor(make_card()):
        pass
    labels = list(make_card().labels)
    addSegments(node.GetSegmentation(), make_card(), labels, None, grid.IJKToRAS)
    editor.dot(node, "liver", (2, 0, 0))
    with pytest.raises(OutputError, match="No model made a slice of"):
        reports(node)
    assert looked_at(node, volume).edited == {2}
