"""One start of startup.py, from nothing to the labels of a slice; prints its stages as JSON."""

import time

BEGIN = time.monotonic()  # before anything else: what came earlier is the interpreter's

import argparse  # noqa: E402
import importlib  # noqa: E402
import json  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from contextlib import contextmanager  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
from engines import TORCH, open_engine  # noqa: E402
from models import model_file  # noqa: E402
from rounds import percentile, seconds  # noqa: E402
from stages import Stages  # noqa: E402

from GDLACore.imaging.volume import Volume  # noqa: E402
from GDLACore.pipeline import segment_volume  # noqa: E402

# What the engines import only when they are wanted, so that it counts as imports.
_LATER = {TORCH: ("GDLACore.engine.torch_engine", "GDLACore.network.checkpoint")}
_LATER_OTHERWISE = ("onnxruntime", "GDLACore.engine.onnx_engine")


def main() -> None:
    """Start, segment a slice, and then a number of them one by one."""
    arguments = _arguments()
    for module in _LATER.get(arguments.engine, _LATER_OTHERWISE):
        importlib.import_module(module)
    imported = time.monotonic()
    model = model_file(arguments.model)
    sessions = Stages()
    with _timed_sessions(sessions):
        engine = open_engine(arguments.engine, model)
    loaded = time.monotonic()
    volume = Volume(np.load(arguments.slice), np.eye(4), "slice", modality="CT")
    segment_volume(volume, engine)
    finished = time.monotonic()
    session = sessions.seconds.get("session", 0.0)
    requests = [seconds(lambda: segment_volume(volume, engine)) for _ in range(arguments.requests)]
    result = {
        "device": engine.describe(),
        "torch_imported": "torch" in sys.modules,
        "stages": {
            "interpreter": BEGIN - arguments.spawned,
            "imports": imported - BEGIN,
            "model": loaded - imported - session,
            "session": session,
            "first slice": finished - loaded,
            "total": finished - arguments.spawned,
        },
        "request": {"median": statistics.median(requests), "p95": percentile(requests, 95)},
    }
    print(json.dumps(result))


@contextmanager
def _timed_sessions(stages: Stages) -> Iterator[None]:
    """Count the time in which ONNX Runtime makes sessions of graphs, where it is used at all."""
    runtime = sys.modules.get("onnxruntime")
    if runtime is None:
        yield
        return
    original = runtime.InferenceSession.__init__

    def timed(*arguments: object, **options: object) -> None:
        with stages.stage("session"):
            original(*arguments, **options)

    runtime.InferenceSession.__init__ = timed
    yield
    runtime.InferenceSession.__init__ = original


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("engine", "model"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--slice", type=Path, required=True, help="[1, h, w] in HU, .npy")
    parser.add_argument("--spawned", type=float, required=True, help="the parent's monotonic clock")
    parser.add_argument("--requests", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
