"""The scrolls of preview.py, on Slicer's own scene and views; prints what each took as JSON.

A process of its own: Slicer's libraries may crash while the interpreter shuts down, after all work
is done, so it leaves without shutting down.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing" / "mrml"), str(ROOT / "GDLASegmenter")]

import slicer_application  # noqa: E402

slicer_application.start()

import numpy as np  # noqa: E402
import slicer  # noqa: E402
import slicer.util  # noqa: E402
from slicer_views import SliceView  # noqa: E402

from GDLACore.imaging.reading import read_volume  # noqa: E402
from GDLACore.model.catalogue import find  # noqa: E402
from GDLACore.resources import resource_path  # noqa: E402
from GDLACore.worker import Loaded, ModelRequest, WorkerClient  # noqa: E402
from GDLASegmenterLib.LivePreview import LivePreview  # noqa: E402
from GDLASegmenterLib.SegmentationLogic import SegmentationLogic  # noqa: E402
from GDLASegmenterLib.SegmentationRequest import SegmentationRequest  # noqa: E402

_TICK_SECONDS = 0.01  # of the panel's timer while a preview is on its way
_PIXELS = (600, 600)
_SCROLL_SECONDS = 0.25  # between two notches of a mouse wheel, of somebody who looks at slices
_STALE_SCROLLS = 200

# Slicer's window keeps Python's lock while it waits for events, unlike time.sleep.
_wait_with_the_lock = ctypes.PyDLL(None).usleep


class Stretches:
    """How long the window's thread was at something: by the clock, and by its processor time."""

    def __init__(self) -> None:
        self.clock: list[float] = []
        self.processor: list[float] = []

    def call(self, work: Callable[[], object]) -> None:
        """Do ``work``, and note what it took."""
        clock, processor = time.perf_counter(), time.thread_time()
        work()
        self.clock.append(time.perf_counter() - clock)
        self.processor.append(time.thread_time() - processor)


class Window:
    """A CT in three slice views, a warm worker, and what the window's thread had to do."""

    def __init__(self, model: str, depth: int) -> None:
        sample = read_volume(resource_path("samples", "ct-abdomen-dicom"))
        there_and_back = [*range(len(sample.array)), *range(len(sample.array) - 2, 0, -1)]
        order = np.resize(there_and_back, depth)
        self.node = slicer.util.addVolumeFromArray(sample.array[order], sample.ijk_to_ras, "CT")
        self.depth, self.IJKToRAS = depth, sample.ijk_to_ras
        self.views = [SliceView(name, _PIXELS) for name in ("Axial", "Coronal", "Sagittal")]
        for view in self.views:
            view.show(self.node, self._place(depth // 2))
        self.model, self.card = ModelRequest(model), find(model).card
        self.logic = SegmentationLogic(WorkerClient(), slicer.mrmlScene)
        self.live = LivePreview(self.logic, slicer.mrmlScene, lambda node: None)
        self.device = self._warm()
        self.scrolling, self.ticks = Stretches(), Stretches()

    def preview(self) -> None:
        self.live.start(self.node, self.model, self.card, "smooth")

    def scroll(self, index: int) -> None:
        """Let the axial view go to slice ``index``, and note what the window's thread did."""
        place = self._place(index)
        self.scrolling.call(lambda: self.views[0].node.JumpSliceByOffsetting(*place))

    def until(self, condition: Callable[[], bool]) -> None:
        """Tick as a timer does."""
        while not condition():
            self.tick()

    def tick(self) -> None:
        """Wait for the timer, and do what is due."""
        _wait_with_the_lock(int(1e6 * _TICK_SECONDS))
        self.ticks.call(lambda: (self.logic.update(), self.live.update()))

    def latency(self, index: int, rest: float = 0.0) -> float:
        """Return the seconds from the scroll to the picture; ``rest`` the user looks at it."""
        begin = time.perf_counter()
        self.scroll(index)
        self.until(lambda: self.live.index == index)
        self.views[0].picture()
        seconds = time.perf_counter() - begin
        self.until(lambda: time.perf_counter() - begin > rest)
        assert self.live.error is None, self.live.error
        return seconds

    def latency_of_a_run(self, index: int, node: object) -> tuple[float, object]:
        """Return the seconds to the picture by way of a run into ``node``, and the node."""
        begin = time.perf_counter()
        self.scroll(index)
        request = SegmentationRequest(
            *(self.node, self.model, self.card, node, range(index, index + 1))
        )
        run = self.logic.segment(request)
        self.until(lambda: run.isOver)
        assert run.error is None, run.error
        self.views[0].picture()
        return time.perf_counter() - begin, run.segmentationNode

    def drawing(self, indices: Iterable[int]) -> Stretches:
        """Draw the axial view at each slice."""
        stretches = Stretches()
        for index in indices:
            self.scroll(index)
            stretches.call(self.views[0].picture)
        return stretches

    def _place(self, index: int) -> np.ndarray:
        return (self.IJKToRAS @ [255.5, 255.5, index, 1])[:3]

    def _warm(self) -> str:
        self.logic.worker.load(self.model)
        while True:
            for event in self.logic.worker.poll():
                if isinstance(event, Loaded):
                    return event.device
            time.sleep(_TICK_SECONDS)


def main() -> None:
    """Scroll in every way."""
    arguments = _arguments()
    window = Window(arguments.model, arguments.depth)
    count, random = arguments.scrolls, np.random.default_rng(0)
    jumps = random.permutation(arguments.depth)[: 2 * count + 1].tolist()
    window.preview()
    window.latency(jumps.pop())  # which hands the volume over
    cases = {"live preview, anywhere in the volume": [window.latency(n) for n in jumps[:count]]}
    window.logic.previews.cancel()  # of what is known
    start = min(arguments.depth - count - 1, arguments.depth // 4)
    notches = range(start, start + count)
    cases[f"live preview, a slice further every {_SCROLL_SECONDS} s"] = [
        window.latency(index, _SCROLL_SECONDS) for index in notches
    ]
    cases["live preview, back again"] = [window.latency(index) for index in reversed(notches)]
    with_preview, ticks = window.scrolling, window.ticks
    drawn = window.drawing(notches)
    stale = _stale(window, random)
    window.live.stop()
    window.scrolling, window.ticks = Stretches(), Stretches()
    drawn_before = window.drawing(notches)
    node, runs = None, []
    for index in jumps[count : 2 * count]:
        seconds, node = window.latency_of_a_run(index, node)
        runs.append(seconds)
    cases["a run of one slice for every scroll"] = runs
    stretches = {
        "the scroll, with the preview on": with_preview,
        "the scroll, without": window.scrolling,
        "one tick of the timer, of which up to 10 ms are left to other threads": ticks,
        "drawing the view, with the preview in it": drawn,
        "drawing the view, without": drawn_before,
    }
    result = {
        "cases": {name: {"latency": seconds} for name, seconds in cases.items()},
        "window": {name: vars(stretch) for name, stretch in stretches.items()},
        "stale": stale,
        "device": window.device,
    }
    window.logic.cleanup()
    print(json.dumps(result))


def _stale(window: Window, random: np.random.Generator) -> dict[str, int]:
    """Scroll at random, look at the overlay at random, and count what it shows."""
    found = {"scrolls": _STALE_SCROLLS, "looks": 0, "right": 0, "empty": 0, "wrong": 0}
    window.logic.previews.cancel()
    index = window.depth // 2
    for _ in range(_STALE_SCROLLS):
        if random.random() < 0.5:
            index = int(random.integers(window.depth))
        else:
            index = int(np.clip(index + random.choice([-1, 1]), 0, window.depth - 1))
        window.scroll(index)
        for _ in range(random.integers(1, 20)):
            (shown,) = {window.live.index, _extent(window.live.index)}
            found["looks"] += 1
            found["empty" if shown is None else "right" if shown == index else "wrong"] += 1
            window.tick()
    return found


def _extent(said: int | None) -> int | None:
    """Return the slice that the overlay's node really holds; ``said`` if there is no node."""
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        if node.GetHideFromEditors():
            segment = node.GetSegmentation().GetNthSegment(0)
            first, last = segment.GetRepresentation("Binary labelmap").GetExtent()[4:]
            assert first >= last, "more than one slice is shown"
            return first if first == last else None
    return said


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--depth", type=int, required=True)
    parser.add_argument("--scrolls", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    slicer.app.exit()
    os._exit(0)
