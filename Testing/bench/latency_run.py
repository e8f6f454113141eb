"""The clicks of latency.py, on Slicer's own scene; prints what each took as JSON.

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
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing" / "mrml"), str(ROOT / "GDLASegmenter")]

import slicer_application  # noqa: E402

slicer_application.start()

import numpy as np  # noqa: E402
import slicer  # noqa: E402
import slicer.util  # noqa: E402
from nodes import add_segment  # noqa: E402
from rounds import seconds  # noqa: E402

from GDLACore.engine import load_engine  # noqa: E402
from GDLACore.imaging.reading import read_volume  # noqa: E402
from GDLACore.imaging.volume import Volume  # noqa: E402
from GDLACore.model.catalogue import find  # noqa: E402
from GDLACore.options import SegmentOptions  # noqa: E402
from GDLACore.pipeline import segment_volume  # noqa: E402
from GDLACore.resources import resource_path  # noqa: E402
from GDLACore.worker import Loaded, ModelRequest, WorkerClient  # noqa: E402
from GDLASegmenterLib.SegmentationLogic import SegmentationLogic  # noqa: E402
from GDLASegmenterLib.SegmentationRequest import SegmentationRequest  # noqa: E402

_TICK_SECONDS = 0.02  # of the timer in the application

# Slicer's window keeps Python's lock while it waits for events, unlike time.sleep.
_wait_with_the_lock = ctypes.PyDLL(None).usleep


class Clicks:
    """One volume in the scene, one warm worker, and the same volume and model beside them."""

    def __init__(self, model: str, depth: int) -> None:
        sample = read_volume(resource_path("samples", "ct-abdomen-dicom"))
        array = np.resize(sample.array, (depth, *sample.array.shape[1:]))
        self.volume = Volume(array, sample.ijk_to_ras, "CT", "CT")
        self.node = slicer.util.addVolumeFromArray(array.copy(), sample.ijk_to_ras, "CT")
        self.model, self.card = ModelRequest(model), find(model).card
        self.engine = load_engine(model)
        self.history = slicer.vtkSegmentationHistory()
        self.logic: SegmentationLogic | None = None

    def start(self) -> None:
        self.logic = SegmentationLogic(
            WorkerClient(), slicer.mrmlScene, lambda node: self.history.SaveState()
        )

    def warm(self) -> None:
        self.start()
        self.logic.worker.load(self.model)
        while not any(isinstance(event, Loaded) for event in self.logic.worker.poll()):
            time.sleep(_TICK_SECONDS)

    def stop(self) -> None:
        self.logic.cleanup()
        self.logic = None

    def click(self, **options: object) -> tuple[dict[str, float], object]:
        """Segment, ticking as a timer does; return the times and the segmentation node."""
        updates = []
        begin = time.perf_counter()
        run = self.logic.segment(SegmentationRequest(self.node, self.model, self.card, **options))
        updates.append(time.perf_counter() - begin)
        first = None
        while not run.isOver:
            _wait_with_the_lock(int(1e6 * _TICK_SECONDS))
            update = time.perf_counter()
            self.logic.update()
            updates.append(time.perf_counter() - update)
            if first is None and run.finishedSlices:
                first = time.perf_counter() - begin
        assert run.error is None, run.error
        times = {
            "first": first,
            "all": time.perf_counter() - begin,
            "longest": max(updates),
            "busy": sum(updates),
        }
        return times, run.segmentationNode

    def add_manual_segment(self, node: slicer.vtkMRMLSegmentationNode) -> None:
        """Draw a block where nothing was found, which Slicer puts into the same layer."""
        mask = np.zeros(self.volume.shape, bool)
        mask[:, :40, :40] = True
        add_segment(node, self.node, "by hand", mask)

    def alone(self, slices: range | None = None) -> float:
        """Return the seconds that the pipeline takes for the same slices in this process."""
        options = SegmentOptions(slices=slices)
        return seconds(lambda: segment_volume(self.volume, self.engine, options))


def main() -> None:
    """Click in every way, in turns with the pipeline alone."""
    arguments = _arguments()
    clicks = Clicks(arguments.model, arguments.depth)
    middle = arguments.depth // 2
    one = range(middle, middle + 1)
    cases: dict[str, list[dict[str, float]]] = {}

    def note(name: str, alone: Callable[[], float] | None, times: dict[str, float]) -> None:
        cases.setdefault(name, []).append({**times, "alone": alone() if alone else 0.0})

    for _ in range(arguments.rounds):
        clicks.start()
        times, node = clicks.click()
        note("whole volume, nothing started yet", None, times)
        _remove(node)
        clicks.stop()

        clicks.warm()
        times, node = clicks.click()
        note("whole volume, warm", clicks.alone, times)
        clicks.history.SetSegmentation(node.GetSegmentation())
        times, _ = clicks.click(outputNode=node)
        note("again into the same segmentation", clicks.alone, times)
        clicks.add_manual_segment(node)
        times, _ = clicks.click(outputNode=node)
        note("again, beside a segment drawn by hand", clicks.alone, times)
        times, _ = clicks.click(outputNode=node, slices=one)
        note("the current slice again", lambda: clicks.alone(one), times)
        clicks.history.SetSegmentation(None)
        _remove(node)
        clicks.stop()
    print(json.dumps({"cases": cases, "device": clicks.engine.describe()}))


def _remove(node: slicer.vtkMRMLSegmentationNode) -> None:
    slicer.mrmlScene.RemoveNode(node.GetDisplayNode())
    slicer.mrmlScene.RemoveNode(node)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--depth", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    slicer.app.exit()
    os._exit(0)
