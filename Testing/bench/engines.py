"""Our engines, opened as the benchmarks need them: the one place that knows how."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from models import ModelFile

from GDLACore.engine import Engine, load_engine

ONNX, TORCH = "onnx", "torch"
ENGINES = (ONNX, TORCH)


def open_engine(
    name: str, model: ModelFile, device: str = "cpu", threads: int | None = None
) -> Engine:
    """Return ``model`` in one of ``ENGINES``; raise as ``load_engine`` does."""
    return load_engine(
        model.path, device=device, card=model.card_name, runtime=name, threads=threads
    )


def use_published_protocol(engine: Engine) -> None:
    """Let ``engine`` resize slices as the published way does, whatever its model was taught."""
    engine.use_card(dataclasses.replace(engine.card, resampling="spline3"))


def network_alone(engine: Engine, images: np.ndarray) -> Callable[[], object]:
    """Return a call that runs the network, and next to nothing else, on ``images`` [n, c, s, s].

    They have the network's own size: what resampling there is takes them as they are.
    """
    return lambda: engine.scores(images)
