"""In any order of events the overlay is that of the view's slice, or it is empty."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import slicer
import slicer.util
from nodes import add_volume
from previewing import check_overlay, settle
from segmenting import MODEL, Bench
from slice_nodes import add_slice_node, go_to

from GDLASegmenterLib.LivePreview import LivePreview


@pytest.fixture
def bench(scene: slicer.vtkMRMLScene) -> Iterator[Bench]:
    bench = Bench(scene)
    yield bench
    bench.logic.cleanup()


@pytest.fixture
def live(bench: Bench, scene: slicer.vtkMRMLScene) -> Iterator[LivePreview]:
    live = LivePreview(bench.logic, scene, bench.undo_states.append)
    yield live
    live.stop()


@pytest.fixture
def red(scene: slicer.vtkMRMLScene) -> Iterator[slicer.vtkMRMLSliceNode]:
    node = add_slice_node("Red")
    yield node
    scene.RemoveNode(node)


def test_200_random_scrolls_never_leave_a_stale_overlay(live, bench, scene, red):
    random = np.random.default_rng(11)
    labels = random.integers(1, 4, (200, 3, 4)).astype(np.int16)
    volume = add_volume(labels)
    live.start(volume, MODEL, bench.card, "smooth")
    index, emptied, filled = 0, 0, 0
    for _ in range(200):
        jumps = random.random() < 0.5
        index = int(random.integers(200)) if jumps else int(np.clip(index + 1, 0, 199))
        go_to(red, volume, index)
        assert live.viewedIndex == index
        for _ in range(random.integers(3)):
            assert live.index in (None, index)
            bench.update()
        assert live.index in (None, index)
        check_overlay(live, bench, scene, labels)
        emptied, filled = emptied + (live.index is None), filled + (live.index is not None)
    assert min(emptied, filled) > 40, "else this tests little"
    settle(bench, live)
    assert live.index == index
    check_overlay(live, bench, scene, labels)


def _scroll(random, red, volume, bench) -> None:
    go_to(red, volume, int(random.integers(-1, 13)))


def _swap_voxels(random, red, volume, bench) -> None:
    array = slicer.util.arrayFromVolume(volume)
    array[:] = array[::-1].copy()
    slicer.util.arrayFromVolumeModified(volume)


def _move(random, red, volume, bench) -> None:
    matrix = np.eye(4)
    matrix[2, 3] = random.integers(-5, 5)
    volume.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))


def _let_it_work(random, red, volume, bench) -> None:
    bench.update()


@pytest.mark.parametrize("seed", range(6))
def test_in_any_order_of_events_what_is_shown_is_what_is_there(live, bench, scene, red, seed):
    random = np.random.default_rng(seed)
    volume = add_volume(random.integers(1, 4, (12, 7, 8)).astype(np.int16))
    live.start(volume, MODEL, bench.card, "smooth")
    for _ in range(80):
        change = random.choice([_scroll, _swap_voxels, _move, _let_it_work, _let_it_work])
        change(random, red, volume, bench)
        assert live.index in (None, live.viewedIndex)
        if live.index is not None:
            check_overlay(live, bench, scene, slicer.util.arrayFromVolume(volume))
    settle(bench, live)
    assert live.index == live.viewedIndex
