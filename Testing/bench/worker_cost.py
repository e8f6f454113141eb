"""What a process of its own costs: starting it, and getting volumes and labels across.

    python Testing/bench/worker_cost.py --docs

The engine returns at once, so that the rest shows. What the scene costs is latency.py's business.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing/core"), str(ROOT / "Testing/faults")]

import numpy as np  # noqa: E402
from observer import HARMLESS, MODEL, Observer  # noqa: E402
from report import add_report_arguments, heading, publish, table  # noqa: E402

from GDLACore.imaging.volume import Volume  # noqa: E402
from GDLACore.worker import Finished, Loaded, ModelRequest, Phase, SlicesDone  # noqa: E402

PAGE = ROOT / "docs/reliability.md"
INSTANT = (sys.executable, str(Path(__file__).with_name("instant_worker.py")))

Times = dict[str, float]


def main() -> None:
    """Measure, print and save."""
    arguments = _arguments()
    result = heading(arguments, "cost", PAGE)
    with tempfile.TemporaryDirectory() as folder:
        result["start"] = _medians(arguments.rounds, lambda: _start(Path(folder)))
        result["job"] = _job(Path(folder), arguments.depth, arguments.rounds)
    publish(arguments, result, _lines(result), PAGE)


def _start(folder: Path) -> Times:
    times, observer = {}, Observer(folder=folder)
    times["start() returns"], _ = _timed(observer.client.start)
    begin = time.perf_counter()
    observer.until(lambda: observer.client.pid is not None)
    times["the process answers"] = times["start() returns"] + time.perf_counter() - begin
    times["close() returns"], _ = _timed(observer.client.close)
    observer = Observer(folder=folder)
    observer.client.load(ModelRequest("demo-ct", device="cpu", runtime="onnx"))
    times["from nothing to a model ready (demo-ct)"], _ = _timed(lambda: observer.heard(Loaded))
    observer.client.close()
    return times


def _job(folder: Path, depth: int, rounds: int) -> Times:
    array = np.random.default_rng(0).integers(-1000, 1000, (depth, 512, 512)).astype(np.int16)
    volume = Volume(array, np.eye(4), "CT", "CT")
    observer = Observer(python=INSTANT, folder=folder)
    observer.client.load(MODEL)
    observer.heard(Loaded)
    times = _medians(rounds + 1, lambda: _segmented(observer, volume))
    observer.client.close()
    return times


def _segmented(observer: Observer, volume: Volume) -> Times:
    observer.forget()
    begin = time.perf_counter()
    observer.client.segment(volume, MODEL, HARMLESS)
    times = {"segment() returns": time.perf_counter() - begin}
    while observer.heard(Phase).done < 20:
        pass
    times["volume written"] = time.perf_counter() - begin
    observer.heard(SlicesDone)
    times["first slices known to the client"] = time.perf_counter() - begin
    finished = observer.heard(Finished)
    times["all slices known to the client"] = time.perf_counter() - begin
    times["of which in the worker: values checked, slices cut, labels put"] = finished.seconds
    return times


def _timed(work: Callable[[], object]) -> tuple[float, object]:
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


def _medians(rounds: int, measure: Callable[[], Times]) -> Times:
    runs = [measure() for _ in range(rounds)]
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def _lines(result: dict[str, Any]) -> list[str]:
    settings = result["settings"]
    return [
        *table(["", "ms"], [[name, _ms(s)] for name, s in result["start"].items()]),
        "",
        f"A volume of 512 x 512 x {settings['depth']} (int16), with a warm engine that returns at "
        "once, from the call on:",
        "",
        *table(["", "ms"], [[name, _ms(s)] for name, s in result["job"].items()]),
    ]


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.1f}" if seconds < 0.01 else f"{1e3 * seconds:.0f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--depth", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    add_report_arguments(parser, "worker-cost")
    return parser.parse_args()


if __name__ == "__main__":
    main()
