"""Whatever users and runs do in whatever order, no voxel that was reviewed is changed by a run.

``GDLA_EXAMPLES=400 pytest Testing/mrml/test_reviewed_slices_at_random.py`` tries that many
sequences, other ones each time.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import slicer
import slicer.util
from editing import Editor, reviewed
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)
from known_voxels import CARDS, NAMES, SHAPE, Known, look
from mirrored_undo import MirroredUndo
from nodes import add_roi, add_segment, add_volume, separate_layers
from segmenting import Bench, voxels

from GDLACore.errors import OutputError, WorkerError
from GDLASegmenterLib.ModelRecord import recordsOf

SLICES = st.integers(0, SHAPE[0] - 1)
EXAMPLES = int(os.environ.get("GDLA_EXAMPLES", "0"))


class Reviewing(RuleBasedStateMachine):
    """A user and runs at work on one segmentation."""

    def __init__(self) -> None:
        super().__init__()
        slicer.mrmlScene.Clear(0)
        self.volume = add_volume(np.zeros(SHAPE, np.int16))
        self.node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "result")
        self.node.CreateDefaultDisplayNodes()
        self.node.SetReferenceImageGeometryParameterFromVolumeNode(self.volume)
        self.mine = np.zeros(SHAPE, bool)
        self.mine[1, 1:3, 1:3] = True
        add_segment(self.node, self.volume, "mine", self.mine)
        self.ticked: set[tuple[int, int]] = set()
        self.exact = True  # whether nothing but what was reviewed may be protected
        nothing = {name: np.zeros(SHAPE, bool) for name in NAMES}
        self.known = Known(nothing, nothing)
        self.open_editor()

    # What the test knows

    def open_editor(self) -> None:
        self.editor = Editor(slicer.mrmlScene, self.volume, SHAPE)
        self.editor.edit(self.node)
        self.history: MirroredUndo[Known] = MirroredUndo(self.editor.logic, self.node)
        self.editor.save_state = lambda node: self.history.save(self.known)

    def absorb(self) -> None:
        """Take what is new since for a run's, which ``check`` has seen to keep what is reviewed."""
        found, known = look(self.node), self.known
        left = {name: known.left[name].copy() for name in NAMES}
        for k in set(range(SHAPE[0])) - known.edited:
            if any((found[name][k] != known.found[name][k]).any() for name in NAMES):
                for name in NAMES:
                    left[name][k] = found[name][k]
        self.known = known.changed(found, left)

    def reviewed_voxels(self) -> np.ndarray:
        mask = np.zeros(SHAPE, bool)
        for axis, index in {(0, k) for k in self.known.edited} | self.ticked:
            mask[(slice(None),) * axis + (index,)] = True
        return mask

    def check(self) -> None:
        """See what runs did since the user's last act, and that it was none of what is reviewed."""
        mask, before, after = self.reviewed_voxels(), self.known.found, look(self.node)
        for name in NAMES:
            np.testing.assert_array_equal(after[name][mask], before[name][mask], err_msg=name)
        np.testing.assert_array_equal(voxels(self.node, "mine", SHAPE), self.mine)
        self.absorb()

    def check_marks(self) -> None:
        for axis in range(3):
            must = {index for one, index in self.ticked if one == axis}
            must |= self.known.edited if axis == 0 else set()
            protected = reviewed(self.node, self.volume, axis).protected
            assert protected >= must
            assert not self.exact or protected == must, f"{set(protected)}, not {must}"

    # What the user does

    def stroke(self, name: str, act) -> None:
        """Let the user paint or erase, whatever is going on."""
        self.check()
        if self.node.GetSegmentation().GetSegmentIdBySegmentName(name):
            act()
            self.known = self.known.changed(look(self.node), self.known.left)

    @rule(name=st.sampled_from(NAMES), k=SLICES, j=st.integers(0, 3), i=st.integers(0, 4))
    def dot(self, name, k, j, i):
        self.stroke(name, lambda: self.editor.dot(self.node, name, (k, j, i)))

    @rule(k=SLICES, name=st.sampled_from(NAMES))
    def erase(self, k, name):
        self.stroke(name, lambda: self.editor.erase(self.node, name, k))

    @rule()
    def undo(self):
        self.check()
        if self.editor.logic.CanUndo():
            self.known = self.history.undo(self.known)
            self.same_as_seen()

    @rule()
    def redo(self):
        self.check()
        if self.editor.logic.CanRedo():
            self.known = self.history.redo()
            self.same_as_seen()

    def same_as_seen(self) -> None:
        for name, array in look(self.node).items():
            np.testing.assert_array_equal(array, self.known.found[name])

    @rule(index=SLICES, axis=st.sampled_from([0, 0, 0, 1, 2]))
    def tick(self, index, axis):
        self.check()
        reviewed(self.node, self.volume, axis).tick(index)
        self.ticked.add((axis, index))

    @rule(k=SLICES)
    def release(self, k):
        self.check()
        if k in self.known.edited:
            self.exact = False  # undoing what was done before would look like an edit
            self.known.release(k)  # all states share it: Undo does not take it back
        reviewed(self.node, self.volume).release(k)
        self.ticked.discard((0, k))

    @rule()
    def layers(self):
        """Give segments layers of their own, or as few as possible."""
        self.check()
        segmentation = self.node.GetSegmentation()
        if segmentation.GetNumberOfLayers() > 1:
            segmentation.CollapseBinaryLabelmaps(False)
        else:
            separate_layers(self.node)

    @rule()
    def refresh(self):
        self.check()
        self.check_marks()

    @precondition(lambda self: recordsOf(self.node))
    @rule()
    def remove_record(self):
        """Remove what edits are told by: those that are known stay protected."""
        self.check()
        self.check_marks()
        self.exact = False
        for record in recordsOf(self.node):
            slicer.mrmlScene.RemoveNode(record.node)
        self.ticked |= {(0, k) for k in self.known.edited}
        self.known = self.known.changed(self.known.found, self.known.found)
        self.history.change(lambda known: known.changed(known.found, known.found))
        self.check_marks()

    @rule()
    def save_and_load(self):
        self.check()
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "scene.mrb")
            assert slicer.util.saveScene(path)
            slicer.mrmlScene.Clear(0)
            slicer.util.loadScene(path)
        (self.node,) = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        self.volume = slicer.util.getNode("CT")
        self.open_editor()
        self.same_as_seen()
        self.check_marks()

    # What runs do

    @rule(
        card=st.sampled_from([*CARDS, "organs", "organs"]),
        seed=st.integers(0, 9),
        slices=st.tuples(SLICES, SLICES).map(sorted),
        box=st.booleans(),
        clean=st.booleans(),
        end=st.sampled_from(["done", "done", "done", "kept", "taken back", "failed"]),
        moment=st.integers(0, 5),
        meanwhile=st.sampled_from(
            ["nothing", "nothing", "dot", "erase", "tick", "undo", "release"]
        ),
        k=SLICES,
    )
    def run(self, card, seed, slices, box, clean, end, moment, meanwhile, k):
        self.check()
        found = np.random.default_rng(seed).integers(0, 3, SHAPE).astype(np.uint8)
        bench = Bench(
            slicer.mrmlScene,
            labels=lambda volume: found,
            card=CARDS[card],
            batch=1,
            save_state_for_undo=lambda node: self.history.save(self.known),
        )
        options = {"slices": range(slices[0], slices[1] + 1), "largestComponent": clean}
        if box:
            options["regionNode"] = add_roi((2, 2, 1.5), (2.5, 2.5, 9))
        try:
            run = bench.begin(self.volume, outputNode=self.node, **options)
        except OutputError:
            bench.logic.cleanup()
            ticked = {index for axis, index in self.ticked if axis == 0}
            assert not self.exact or set(options["slices"]) <= ticked | self.known.edited
            return
        for _ in range(moment):
            bench.update()
        self.meanwhile(meanwhile, k)
        if end == "kept":
            bench.logic.cancel()
        elif end == "taken back":
            bench.logic.cancel(keepFinishedSlices=False)
        elif end == "failed" and bench.worker.busy:
            bench.worker.fail(WorkerError("It died.", "Try again."))
        bench.to_the_end(run)
        assert run.error is None or run.error.message == "It died." or "reviewed" in str(run.error)
        bench.logic.cleanup()
        self.check()
        self.check_marks()

    def meanwhile(self, act: str, k: int) -> None:
        self.check()
        if act in ("dot", "erase", "undo"):
            self.exact = False  # Undo may lead into the middle of a run: whose is which slice?
        if act == "dot":
            self.dot("liver", k, 1, 2)
        elif act == "erase":
            self.erase(k, "spleen")
        elif act == "tick":
            self.tick(k, 0)
        elif act == "release":
            self.release(k)
        elif act == "undo":
            self.undo()


def test_reviewed_voxels_never_change_but_by_the_user(scene):
    run_state_machine_as_test(
        Reviewing,
        settings=settings(
            max_examples=EXAMPLES or 50,
            stateful_step_count=12,
            derandomize=not EXAMPLES,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
