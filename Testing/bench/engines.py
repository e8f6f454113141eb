"""Our engines, opened as the benchmarks need them: the one place that knows how."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from models import ModelFile

from GDLACore.engine import Engine, load_engine

DEFAULT = "default"
TORCH = "torch"
PRECISIONS = ("fp32", "fp16", "bf16", "int8", "auto")
ENGINES = (DEFAULT, *PRECISIONS, TORCH)


def open_engine(name: str, model: ModelFile, device: str = "cpu") -> Engine:
    """Return ``model`` in the engine ``name``: what users get, that in a precision, or PyTorch's.

    Raises what ``load_engine`` raises.
    """
    if name == TORCH:
        return _torch_engine(model, device)
    options = {} if name == DEFAULT else {"precision": name}
    return load_engine(model.path, device=device, card=model.card_name, **options)


def use_published_protocol(engine: Engine) -> None:
    """Let ``engine`` resize slices as the published way does, whatever its model was taught."""
    engine.use_card(dataclasses.replace(engine.card, resampling="spline3"))


def network_alone(engine: Engine, images: np.ndarray) -> Callable[[], object]:
    """Return a call that runs the network, and next to nothing else, on ``images`` [n, c, s, s].

    They have the network's own size: what resampling there is takes them as they are.
    """
    return lambda: engine.scores(images)


def _torch_engine(model: ModelFile, device: str) -> Engine:
    from GDLACore.engine.torch_engine import TorchEngine
    from GDLACore.network.checkpoint import load_model

    network, card = load_model(model.path, model.card_name)
    return TorchEngine(network, card, device)
