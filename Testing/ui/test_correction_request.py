"""What edited slices say when those beside them are segmented anew: of what, and in which terms."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import slicer
from nodes import add_roi, add_volume, separate_layers
from panels import add_slice_view
from phantom import make_card

from GDLACore.errors import VolumeError
from GDLACore.options import UNSAID

pytest_plugins = ("panels",)

SHAPE = (14, 7, 8)
LABELS = np.random.default_rng(3).integers(0, 4, SHAPE).astype(np.uint8)
CARD = make_card()
CARRIED = {0: LABELS[0]}  # corrections, as those of an earlier run
OTHER = dataclasses.replace(make_card(("vein", "duct")), name="vessels")
VALUES = {1: 2, 2: 1, 3: 3, 0: 0, UNSAID: UNSAID}
RENUMBERED = dataclasses.replace(
    CARD, labels=make_card(("spleen", "liver", "aorta")).labels, version="2.0"
)


class Case:
    """A volume, segmentations of it, and what is asked for beside slices that were edited."""

    def __init__(self) -> None:
        from editing import Editor
        from segmenting import Bench

        self.volume = add_volume(LABELS.astype(np.int16))
        self.view = add_slice_view()
        self.view.SetSliceOffset(3.0)
        self.editor = Editor(slicer.mrmlScene, self.volume, SHAPE)
        self.bench = Bench(slicer.mrmlScene, card=CARD)
        self.node = None

    def segment(self, **options):
        self.node = self.bench.segment(self.volume, **options).segmentationNode
        self.editor.edit(self.node)
        return self.node

    def request(self, viewed, card=CARD, **parameters):
        from editing import reviewed

        from GDLASegmenterLib.CorrectionRequest import correctionRequest
        from GDLASegmenterLib.ModelRecord import recordOf
        from GDLASegmenterLib.Parameters import SegmentedPart

        chosen = {
            "part": SegmentedPart.WHOLE_VOLUME,
            "region": None,
            "smoothBorders": True,
            "batchSize": 0,
            "confidence": False,
            **parameters,
        }
        subject = SimpleNamespace(
            segmentationNode=self.node,
            volumeNode=self.volume,
            slices=SimpleNamespace(axis=0, count=SHAPE[0]),
            marks=reviewed(self.node, self.volume),
        )
        model = SimpleNamespace(card=card, path="model.onnx", card_name="")
        record = recordOf(self.node, card.name)
        return correctionRequest(
            subject, record, viewed, SimpleNamespace(**chosen), model, device="cpu"
        )


@pytest.fixture
def case(module):
    case = Case()
    yield case
    case.bench.logic.cleanup()
    slicer.mrmlScene.RemoveNode(case.view)


def test_structures_are_told_in_the_numbers_of_the_checkpoint_that_is_to_run(case):
    node = case.segment(corrections=CARRIED)
    case.editor.dot(node, "liver", (1, 3, 3))
    expected = case.request(1).corrections[1].copy()
    found = case.request(1, RENUMBERED).corrections[1]
    np.testing.assert_array_equal(found, np.vectorize(VALUES.get)(expected))
    assert {1, 2} <= set(np.unique(found))


@pytest.mark.parametrize("card", [CARD, RENUMBERED])
def test_of_what_the_network_left_nothing_is_said_whatever_its_borders_are_now(case, card):
    node = case.segment()
    changed = {}
    for value in (0, 1):  # a voxel is added to the liver, and one is taken away
        place = tuple(np.argwhere(LABELS[4] == value)[0])
        case.editor.dot(node, "liver", (4, *place))
        changed[place] = 0 if value else {label.name: label.value for label in card.labels}["liver"]
    expected = np.full(SHAPE[1:], UNSAID, np.uint16)
    for place, value in changed.items():
        expected[place] = value
    np.testing.assert_array_equal(case.request(4, card).corrections[4], expected)


def test_a_slice_that_earlier_corrections_had_a_part_in_is_said_whole_and_no_other(case):
    node = case.segment()
    place = tuple(np.argwhere(LABELS[10] == 1)[0])
    case.editor.dot(node, "liver", (10, *place))
    corrections = case.request(10).corrections
    assert (corrections[10] != UNSAID).sum() == 1
    case.segment(outputNode=node, slices=range(5, 14), corrections=corrections)
    case.editor.dot(node, "liver", (13, 3, 3))
    corrections = case.request(13).corrections
    assert set(corrections) == {10, 13}
    assert UNSAID not in corrections[13]
    assert (corrections[10] != UNSAID).sum() == 1 and corrections[10][place] == 0


def test_the_edited_slice_that_is_nearest_to_the_viewed_one_has_its_neighbors_segmented(case):
    node = case.segment()
    for index in (1, 10):
        case.editor.dot(node, "liver", (index, 3, 3))
    assert case.request(2).slices == range(7)
    assert case.request(9).slices == range(5, 14)
    assert set(case.request(2).corrections) == {1, 10}


def test_what_is_edited_of_another_checkpoints_segments_says_nothing(case):
    from segmenting import Bench

    node = case.segment()
    second = Bench(slicer.mrmlScene, lambda volume: (LABELS % 3).astype(np.uint8), OTHER)
    second.segment(case.volume, outputNode=node)
    case.editor.dot(node, "vein", (9, 3, 3))
    case.editor.dot(node, "liver", (2, 3, 3))
    request = case.request(9)
    assert set(request.corrections) == {2}
    assert request.slices == range(8)
    second.logic.cleanup()


def test_a_voxel_in_two_structures_says_nothing(case):
    node = case.segment(corrections=CARRIED)
    mask = LABELS == 2
    mask[1, 2:4, 2:4] = True
    separate_layers(node)
    case.editor.set(node, "spleen", mask)
    twice = np.isin(LABELS[1], (1, 3)) & mask[1]
    found = case.request(1).corrections[1]
    assert twice.any()
    assert (found[twice] == UNSAID).all()
    assert set(np.unique(found[~twice])) <= {0, 1, 2, 3}


def test_what_is_empty_in_a_slice_that_the_model_never_wrote_says_nothing(case):
    node = case.segment(slices=range(2), corrections=CARRIED)
    case.editor.dot(node, "liver", (5, 3, 3))
    case.editor.dot(node, "liver", (1, *np.argwhere(LABELS[1] == 1)[0]))
    corrections = case.request(5).corrections
    assert corrections[5][3, 3] == 1
    assert (np.delete(corrections[5].ravel(), 3 * SHAPE[2] + 3) == UNSAID).all()
    assert UNSAID not in corrections[1]


def test_where_a_segment_was_that_the_user_removed_nothing_is_said(case):
    node = case.segment(corrections=CARRIED)
    case.editor.dot(node, "liver", (1, *np.argwhere(LABELS[1] == 1)[0]))
    segmentation = node.GetSegmentation()
    segmentation.RemoveSegment(segmentation.GetSegmentIdBySegmentName("spleen"))
    found = case.request(1).corrections[1]
    np.testing.assert_array_equal(found == UNSAID, LABELS[1] == 2)


def test_what_was_erased_outside_of_a_region_is_said(case):
    from GDLASegmenterLib.Parameters import SegmentedPart

    node = case.segment()
    erased = tuple(np.argwhere(LABELS[4] == 1)[-1])
    case.editor.dot(node, "liver", (4, *erased))
    box = add_roi((1, 1, 5), (2.2, 2.2, 6.2))
    found = case.request(4, part=SegmentedPart.REGION, region=box).corrections[4]
    assert erased > (3, 3) and found[erased] == 0
    assert (found[3:, 3:] == UNSAID).any()


def test_with_a_region_only_what_is_inside_is_asked_for_and_said_of_empty_voxels(case):
    from GDLASegmenterLib.Parameters import SegmentedPart

    box = add_roi((3, 3, 5), (4.2, 4.2, 6.2))  # i and j from 1 to 5, k from 2 to 8
    node = case.segment(regionNode=box, corrections=CARRIED)
    index = 4
    case.editor.dot(node, "liver", (index, 3, 3))
    request = case.request(index, part=SegmentedPart.REGION, region=box)
    assert request.regionNode is box
    assert request.slices == range(2, 9)
    inside = np.zeros(SHAPE[1:], bool)
    inside[1:6, 1:6] = True
    found = request.corrections[index]
    assert (found[~inside] == UNSAID).all()
    assert UNSAID not in found[inside]


def test_a_region_that_is_elsewhere_or_missing_is_refused(case):
    from GDLASegmenterLib.Parameters import SegmentedPart

    node = case.segment()
    case.editor.dot(node, "liver", (1, 3, 3))
    box = add_roi((3, 3, 10), (4.2, 4.2, 4.2))
    with pytest.raises(VolumeError, match="does not reach to the slices beside slice 1"):
        case.request(1, part=SegmentedPart.REGION, region=box)
    with pytest.raises(VolumeError, match="No region is chosen"):
        case.request(1, part=SegmentedPart.REGION)
