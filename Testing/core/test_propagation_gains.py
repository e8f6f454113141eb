"""The arithmetic of the benchmark that says what a corrected slice gains in those beside it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("yaml")

sys.path.append(str(Path(__file__).resolve().parents[2] / "Testing/bench"))

from propagation_gains import gain, overlaps, summary
from propagation_methods import METHODS, SHIPPED
from propagation_subject import Subject

TRUTH = np.array([[1, 1, 0, 0, 0, 2, 2, 0]] * 8, np.uint8)


def test_overlaps_count_each_structure_twice_in_common_and_in_both():
    found = np.where(TRUTH == 2, 0, TRUTH)
    assert overlaps(found, TRUTH, (1, 2)).tolist() == [[32, 32], [0, 16]]


def test_a_gain_is_the_mean_over_structures_that_are_there():
    nothing, half, all_ = np.array([[0, 16], [0, 0]]), np.array([[8, 16], [0, 0]]), 16
    assert gain(nothing, half) == pytest.approx(0.5)
    assert gain(half, np.array([[all_, 16], [0, 0]])) == pytest.approx(0.5)
    # What is found where there is nothing counts, too.
    assert gain(np.array([[8, 16], [0, 0]]), np.array([[8, 16], [0, 4]])) == pytest.approx(-0.5)
    assert gain(np.zeros((2, 2)), np.zeros((2, 2))) == 0


def test_the_interval_holds_the_median_and_the_share_counts_losses():
    found = summary([0.1, 0.2, -0.1, 0.3, 0.0, 0.2, 0.4, 0.1])
    assert found.low <= found.median <= found.high
    assert found.median == pytest.approx(0.15)
    assert found.worst == pytest.approx(-0.1) and found.worse == pytest.approx(1 / 8)
    assert summary([0.1, 0.2, 0.3]) == summary([0.1, 0.2, 0.3])
    assert summary([0.5]).low == summary([0.5]).high == 0.5


def test_every_method_gives_labels_of_every_neighbour_and_copes_with_nothing_to_carry():
    truth = np.stack([np.pad(TRUTH, 12)] * 4)
    logits = np.stack([10.0 * (truth * (truth != 2) == value) for value in range(3)], axis=1)
    images = truth / 2 + np.random.default_rng(1).normal(0, 0.01, truth.shape)
    subject = Subject(
        images=images.astype(np.float32),
        found=truth * (truth != 2),
        logits=logits.astype(np.float32),
        truth=truth,
        corrected=truth,
        known=(1, 2),
        step=1.0,
    )
    right = Subject(**{**vars(subject), "corrected": subject.found})
    for name, method in METHODS.items():
        found = list(method(subject, 1, [2, 3]))
        assert [one.shape for one in found] == [truth[0].shape] * 2
        if name != "random walker":  # which smooths away what is as narrow as this
            assert all((one == 2).any() for one in found), name
        if not name.startswith("copy"):
            unchanged = list(method(right, 1, [2, 3]))
            assert np.array_equal(unchanged, right.found[2:]), name
    assert SHIPPED in METHODS
