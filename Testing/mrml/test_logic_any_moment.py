"""A run goes on in small steps; whatever the user does between any two of them, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from nodes import add_segment, add_volume, paint, separate_layers
from segmenting import Bench, stray_values, voxels

SHAPE = (6, 7, 8)
SLICES = range(1, 5)
FIRST, SECOND = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
FIRST[2:4, 2:5, 2:5] = 1
FIRST[2:5, 5, 6] = 3
SECOND[2:4, 2:4, 2:5] = 2
SECOND[1:3, 4, 3:6] = 1
MINE = np.zeros(SHAPE, bool)
MINE[0, 0] = True
DOT = (5, 6, 7)  # beside what the model finds


class Setup:
    """A segmentation of the model's, with a segment of the user's in the same layer."""

    def __init__(self, scene, before: Callable) -> None:
        results = iter([FIRST, SECOND])
        self.bench = Bench(scene, labels=lambda volume: next(results))
        self.volume_node = add_volume(FIRST.astype(np.int16))
        self.node = self.bench.segment(self.volume_node).segmentationNode
        self.mine = MINE.copy()
        self.expected = SECOND.copy()
        add_segment(self.node, self.volume_node, "mine", self.mine)
        before(self.node)

    def segment_id(self, name: str) -> str:
        return self.node.GetSegmentation().GetSegmentIdBySegmentName(name)

    def paint_both(self) -> None:
        self.mine[4, :, 0] = True
        paint(self.node, self.volume_node, self.segment_id("mine"), self.mine)
        liver = voxels(self.node, "liver", SHAPE)
        liver[DOT] = True
        self.expected[DOT] = 1
        paint(self.node, self.volume_node, self.segment_id("liver"), liver)

    def remove_one_of_the_models(self) -> None:
        self.node.GetSegmentation().RemoveSegment(self.segment_id("aorta"))

    def add_an_empty_one(self) -> None:
        self.node.GetSegmentation().AddEmptySegment("", "empty")

    def collapse(self) -> None:
        self.node.GetSegmentation().CollapseBinaryLabelmaps(False)


def interrupted(setup: Setup, act: Callable, moment: int, discard: bool) -> bool:
    """Run, but ``act`` after ``moment`` steps; return whether the run was not over yet by then."""
    bench = setup.bench
    run = bench.begin(setup.volume_node, outputNode=setup.node, slices=SLICES)
    steps, done = 0, False
    while not run.isOver:
        for event in bench.worker.poll():
            run.receive(event)
        while not run.isOver and run.advance():
            steps += 1
            assert steps < 200, "it never ends"
            if discard and run.finishedSlices == 4:
                bench.logic.cancel(keepFinishedSlices=False)
            if steps == moment and not run.isOver:
                act(setup)
                done = True
    assert run.error is None and run.warnings == []
    return done


def nothing(node) -> None:
    pass


@pytest.mark.parametrize(
    ("before", "discard"),
    [(separate_layers, False), (nothing, True)],
    ids=["separate layers to the end", "a shared layer taken back"],
)
@pytest.mark.parametrize(
    "act",
    [
        Setup.paint_both,
        Setup.remove_one_of_the_models,
        Setup.add_an_empty_one,
        Setup.collapse,
    ],
    ids=lambda act: act.__name__,
)
def test_whenever_the_user_acts_no_stroke_and_no_slice_is_lost(scene, before, act, discard):
    moment, going_on = 0, True
    while going_on:
        moment += 1
        scene.Clear(0)
        setup = Setup(scene, before)
        going_on = interrupted(setup, act, moment, discard)
        if discard:
            setup.expected = np.where(setup.expected == SECOND, FIRST, setup.expected)
        if going_on and act is Setup.remove_one_of_the_models:
            aorta = setup.segment_id("aorta")
            assert not aorta or not voxels(setup.node, "aorta", SHAPE).any()
            setup.expected[setup.expected == 3] = 0
        where = f"after {moment} steps"
        for label in setup.bench.card.labels:
            if setup.segment_id(label.name):
                np.testing.assert_array_equal(
                    voxels(setup.node, label.name, SHAPE),
                    setup.expected == label.value,
                    err_msg=f"{label.name} {where}",
                )
        np.testing.assert_array_equal(voxels(setup.node, "mine", SHAPE), setup.mine, err_msg=where)
        assert not setup.segment_id("empty") or not voxels(setup.node, "empty", SHAPE).any(), where
        assert stray_values(setup.node) == set(), where
    assert moment > 10
