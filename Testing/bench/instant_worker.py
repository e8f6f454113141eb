"""The real worker with an engine that computes nothing: ``python instant_worker.py PROGRAM``."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing/core")]

import numpy as np  # noqa: E402
from worker_conversation import SteppedEngine  # noqa: E402

from GDLACore.worker import warm_model  # noqa: E402


class InstantEngine(SteppedEngine):
    batch_size = 2  # as on two cores

    def predict(self, slices: np.ndarray, borders: str) -> np.ndarray:
        return np.zeros((len(slices), *slices.shape[2:]), np.uint8)


if __name__ == "__main__":
    warm_model.load_engine = lambda model, **options: InstantEngine()
    runpy.run_path(sys.argv[1])["main"]()
