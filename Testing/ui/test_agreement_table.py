"""What was corrected of a model's segmentation is counted from what is in the scene."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import slicer
from nodes import add_linear_transform, add_volume, put_into_study
from phantom import make_card, make_labels
from vtk.util.numpy_support import vtk_to_numpy

from GDLACore.errors import Cancelled, OutputError

LABELS = make_labels()
SHAPE = LABELS.shape
SPACING = np.diag([2.0, 3.0, 4.0, 1.0])
VOXEL_ML = 0.024
NAMES = ["liver", "spleen", "aorta"]
STEPS = 2 * SHAPE[0] - 1  # for the record and the only layer of each slice, but for the last


@pytest.fixture
def bench(module) -> Iterator:
    from segmenting import Bench

    bench = Bench(slicer.mrmlScene)
    yield bench
    bench.logic.cleanup()


@pytest.fixture
def volume(desktop):
    return add_volume(LABELS, SPACING, "Doe^John 1950")


@pytest.fixture
def segmentation(bench, volume):
    """What a model made of the volume, with nothing corrected."""
    return bench.segment(volume).segmentationNode


def reports_of(node) -> tuple:
    """Return what is counted, after all steps."""
    from GDLASegmenterLib.AgreementTable import agreementSteps

    steps = agreementSteps(node)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def paint(node, name: str, k: int) -> int:
    """Put five voxels in a row of slice ``k`` into the segment; return how many were not."""
    from GDLASegmenterLib.LabelLayer import announce, layersOf

    segmentation = node.GetSegmentation()
    segment_id = segmentation.GetSegmentIdBySegmentName(name)
    (layer,) = layersOf(segmentation, [segment_id])
    number = segmentation.GetSegment(segment_id).GetLabelValue()
    row = layer.box((0, 4, 0, 0, k, k))
    changed = int((row != number).sum())
    row[:] = number
    layer.image.Modified()
    announce(segmentation, layer)
    return changed


def test_what_nobody_corrected_agrees_completely(segmentation):
    (report,) = reports_of(segmentation)
    assert (report.model, report.slices, report.count) == ("abdomen", "all", SHAPE[0])
    *rows, total = report.agreements
    assert [row.structure for row in rows] == NAMES
    for value, row in enumerate(rows, 1):
        millilitres = pytest.approx((LABELS == value).sum() * VOXEL_ML)
        assert row.model_ml == row.corrected_ml == millilitres
        assert row.dice == (1.0 if (LABELS == value).any() else None)
        assert row.added == row.removed == 0
    assert total.model_ml == pytest.approx((LABELS > 0).sum() * VOXEL_ML)


def test_corrections_are_counted_and_alone_in_the_reviewed_slices(segmentation, volume):
    from GDLASegmenterLib.ReviewedSlices import ReviewedSlices
    from GDLASegmenterLib.VolumeGrid import volumeGrid

    row = LABELS[2, 0, :5].copy()
    paint(segmentation, "liver", 2)
    ReviewedSlices(segmentation, volumeGrid(volume), 0).tick(4)
    whole, reviewed = reports_of(segmentation)
    corrected = LABELS.copy()
    corrected[2, 0, :5] = 1
    assert (reviewed.slices, reviewed.count) == ("reviewed", 2)
    for report, slices in (whole, slice(None)), (reviewed, [2, 4]):
        for value, one in enumerate(report.agreements[:-1], 1):
            before, after = LABELS[slices] == value, corrected[slices] == value
            both, either = (before & after).sum(), before.sum() + after.sum()
            assert one.dice == (pytest.approx(2 * both / either) if either else None)
            assert one.model_ml == pytest.approx(before.sum() * VOXEL_ML)
            assert one.corrected_ml == pytest.approx(after.sum() * VOXEL_ML)
        assert report.agreements[0].added == (row != 1).sum()
        assert report.agreements[1].removed == (row == 2).sum()
        assert report.agreements[-1].removed == (row == 2).sum()


def test_a_correction_counts_though_its_slice_was_unticked_and_ticked(segmentation, volume):
    from GDLASegmenterLib.ReviewedSlices import ReviewedSlices
    from GDLASegmenterLib.VolumeGrid import volumeGrid

    added = paint(segmentation, "aorta", 2)
    before = reports_of(segmentation)
    slices = ReviewedSlices(segmentation, volumeGrid(volume), 0)
    assert slices.edited == {2}
    slices.release(2)
    slices.tick(2)
    assert reports_of(segmentation) == before
    assert before[1].slices == "reviewed" and before[1].agreements[2].added == added > 0


def test_a_structure_in_a_layer_of_its_own_may_overlap(segmentation):
    from GDLASegmenterLib.LabelLayer import layersOf, separatedInSteps

    inner = segmentation.GetSegmentation()
    (layer,) = layersOf(inner, [inner.GetSegmentIdBySegmentName("spleen")])
    for _step in separatedInSteps(inner, layer):
        pass
    added = paint(segmentation, "spleen", 3)
    assert added
    liver, spleen, _aorta, _total = reports_of(segmentation)[0].agreements
    assert (liver.added, liver.removed) == (0, 0)
    assert (spleen.added, spleen.removed) == (added, 0)


def test_what_the_model_left_is_not_guessed_where_structures_overlapped_before(segmentation):
    from GDLASegmenterLib.LabelLayer import layersOf, separatedInSteps
    from GDLASegmenterLib.ModelRecord import recordsOf

    inner = segmentation.GetSegmentation()
    (layer,) = layersOf(inner, [inner.GetSegmentIdBySegmentName("spleen")])
    for _step in separatedInSteps(inner, layer):
        pass
    row = LABELS[3, 0, :5]
    paint(segmentation, "spleen", 3)
    overlaps = int(((row != 0) & (row != 2)).sum())
    reports_of(segmentation)
    (record,) = recordsOf(segmentation)
    slicer.mrmlScene.RemoveNode(record.node)
    remember(segmentation)
    with pytest.raises(OutputError, match=f"{overlaps} voxels of .* several structures") as refused:
        reports_of(segmentation)
    assert overlaps and "new segmentation" in refused.value.hint


def remember(node, volume=None) -> None:
    """Note what is in the segments now as the model's, as on the first contact with a file."""
    from GDLASegmenterLib.ReviewedSlices import ReviewedSlices
    from GDLASegmenterLib.VolumeGrid import volumeGrid

    for _step in ReviewedSlices(
        node, volumeGrid(volume or slicer.util.getNode("Doe*")), 0
    ).refresh():
        pass


def test_a_large_slice_is_counted_in_parts_to_the_same_end(segmentation, monkeypatch):
    from GDLASegmenterLib import AgreementTable

    paint(segmentation, "liver", 2)
    whole = reports_of(segmentation)
    monkeypatch.setattr(AgreementTable, "_COUNTED_AT_ONCE", 2 * SHAPE[2] + 1)
    steps, count = AgreementTable.agreementSteps(segmentation), 0
    try:
        while True:
            next(steps)
            count += 1
    except StopIteration as end:
        assert end.value == whole
    assert count >= 2 * SHAPE[0] * SHAPE[1] // 2


def test_a_segment_that_was_removed_was_removed_whole(segmentation):
    inner = segmentation.GetSegmentation()
    inner.RemoveSegment(inner.GetSegmentIdBySegmentName("liver"))
    liver = reports_of(segmentation)[0].agreements[0]
    assert (liver.added, liver.removed) == (0, (LABELS == 1).sum())
    assert liver.corrected_ml == 0 and liver.dice == 0


def test_segments_of_the_user_do_not_count(segmentation):
    before = reports_of(segmentation)
    inner = segmentation.GetSegmentation()
    inner.AddEmptySegment("my own", "liver")
    assert reports_of(segmentation) == before


def test_a_segments_name_is_never_taken_for_that_of_a_structure(segmentation):
    from GDLACore.imaging.seg_nrrd import LABEL_TAG
    from GDLASegmenterLib.ModelRecord import recordOf

    inner = segmentation.GetSegmentation()
    segment = inner.GetSegment(inner.GetSegmentIdBySegmentName("liver"))
    segment.SetName("Doe^John")
    segment.RemoveTag(LABEL_TAG)
    slicer.mrmlScene.RemoveNode(recordOf(segmentation, "abdomen").node)
    remember(segmentation)
    (report,) = reports_of(segmentation)
    assert [one.structure for one in report.agreements] == ["spleen", "aorta", "total"]


def test_what_changes_while_it_is_counted_is_counted_again(segmentation):
    from GDLASegmenterLib.AgreementTable import agreementSteps

    added = 0
    steps, waited = agreementSteps(segmentation), 0
    try:
        while True:
            next(steps)
            waited += 1
            if waited == STEPS:
                added = paint(segmentation, "liver", 1)
    except StopIteration as end:
        reports = end.value
    assert added and reports[0].agreements[0].added == added


@pytest.mark.parametrize("gone", ["the segmentation", "what the model made"])
def test_it_stops_when_there_is_nothing_to_compare_any_more(segmentation, gone):
    from GDLASegmenterLib.AgreementTable import agreementSteps
    from GDLASegmenterLib.ModelRecord import recordsOf

    steps = agreementSteps(segmentation)
    (record,) = recordsOf(segmentation)
    for _ in range(STEPS):
        next(steps)
    node = segmentation if gone == "the segmentation" else record.node
    slicer.mrmlScene.RemoveNode(node)
    with pytest.raises(Cancelled, match="is not in the scene any more"):
        next(steps)


def test_a_scale_in_a_parent_transform_counts(segmentation):
    segmentation.SetAndObserveTransformNodeID(add_linear_transform(np.diag([2.0, 2, 2, 1])).GetID())
    (report,) = reports_of(segmentation)
    assert report.agreements[-1].model_ml == pytest.approx((LABELS > 0).sum() * VOXEL_ML * 8)


@pytest.mark.parametrize("which", ["as it was", "grown"])
@pytest.mark.parametrize("shift", [4.0, 2.0])  # mm: a slice, and half of one
def test_where_a_transform_was_hardened_nothing_is_compared(segmentation, volume, shift, which):
    if which == "grown":
        matrix = SPACING.copy()
        matrix[2, 3] = -8
        array = np.zeros((SHAPE[0] + 4, *SHAPE[1:]), np.int16)
        remember(segmentation, add_volume(array, matrix, "longer"))
        assert reports_of(segmentation)[0].count == SHAPE[0]
    moved = np.eye(4)
    moved[2, 3] = shift
    transform = add_linear_transform(moved)
    for node in (volume, segmentation):
        node.SetAndObserveTransformNodeID(transform.GetID())
        node.HardenTransform()
    with pytest.raises(OutputError, match="on another voxel grid than the model's") as refused:
        reports_of(segmentation)
    assert "hardened" in refused.value.hint


def test_a_segmentation_that_no_model_made_is_refused(module):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    with pytest.raises(OutputError, match="Nobody knows what a model had made of mine") as refused:
        reports_of(node)
    assert refused.value.hint


def test_each_model_is_told_by_itself(bench, segmentation, volume):
    from dataclasses import replace

    from segmenting import Bench

    other = Bench(slicer.mrmlScene, card=replace(bench.card, name="thorax"))
    other.segment(volume, outputNode=segmentation)
    assert {report.model for report in reports_of(segmentation)} == {"abdomen", "thorax"}
    other.logic.cleanup()


def test_the_table_has_a_row_for_each_structure_beside_the_segmentation(segmentation, volume):
    from GDLASegmenterLib.AgreementTable import addAgreementTable

    folder = put_into_study(segmentation)
    added = paint(segmentation, "aorta", 2)
    segmentation.SetName("Doe's CT segmentation")
    reports = reports_of(segmentation)
    node = addAgreementTable(segmentation, reports)
    assert node.GetName() == "Doe's CT segmentation agreement"
    tree = slicer.mrmlScene.GetSubjectHierarchyNode()
    assert tree.GetItemParent(tree.GetItemByDataNode(node)) == folder
    columns = {node.GetColumnName(n): column(node, n) for n in range(node.GetNumberOfColumns())}
    assert list(columns) == [
        *("Model", "Version", "Slices", "Structure", "Model [mL]", "Corrected [mL]", "Dice"),
        *("Voxels added", "Voxels removed"),
    ]
    assert columns["Version"] == [make_card().version] * 8
    assert columns["Structure"] == [*NAMES, "total"] * 2
    assert columns["Slices"] == ["all 6"] * 4 + ["reviewed 1"] * 4
    assert columns["Voxels added"][2] == columns["Voxels added"][6] == added
    assert not any("Doe" in text for text in columns["Model"] + columns["Structure"])
    assert addAgreementTable(segmentation, reports).GetName() != node.GetName()


def column(node, number: int) -> list:
    array = node.GetTable().GetColumn(number)
    if array.IsA("vtkStringArray"):
        return [array.GetValue(row) for row in range(array.GetNumberOfValues())]
    return vtk_to_numpy(array).tolist()


def test_the_table_survives_being_saved_with_the_scene(segmentation, tmp_path):
    from GDLASegmenterLib.AgreementTable import addAgreementTable

    node = addAgreementTable(segmentation, reports_of(segmentation))
    expected = [column(node, n) for n in range(node.GetNumberOfColumns())]
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableStorageNode")
    storage.SetFileName(str(tmp_path / "agreement.tsv"))
    assert storage.WriteData(node)
    again = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode")
    assert storage.ReadData(again)
    for number, values in enumerate(expected):
        np.testing.assert_array_equal(column(again, number), values)
