"""The golden vectors and the recipe for the weights that made them (no 130 MB file needed)."""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent.parent / "data" / "golden"

# The authors' name of the network with each mixer.
OFFICIAL_MODELS = {
    "gdla": "pvtgdla",
    "softmax": "pvtsa",
    "differential": "pvtda",
    "linear": "pvtla",
}


def vectors(name: str) -> dict[str, np.ndarray]:
    """Return the arrays of ``Testing/data/golden/{name}.npz``."""
    with np.load(FOLDER / f"{name}.npz") as archive:
        return {key: archive[key] for key in archive.files}


def official_shapes(model: str) -> dict[str, tuple[int, ...]]:
    """Return the authors' weight names and shapes of "pvtgdla", "pvtsa", "pvtda" or "pvtla"."""
    rows = json.loads((FOLDER / f"official_keys_{model}_ds.json").read_text())
    return {key: tuple(shape) for key, shape, _ in rows}


def recipe_weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Return weights that depend on nothing but their official names and shapes."""
    return {key: _recipe(key, shape) for key, shape in shapes.items()}


def recipe_input(channels: int, size: int, batch: int) -> np.ndarray:
    """Return the golden network input, float32 [batch, channels, size, size]."""
    shape = (batch, channels, size, size)
    return (1.5 * _uniform(f"golden.c.input.{channels}x{size}", shape)).astype(np.float32)


def _uniform(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return hashed numbers in (-1, 1), float64, of the given shape."""
    x = np.arange(math.prod(shape), dtype=np.uint32) * np.uint32(2654435761)
    x = x + np.uint32(zlib.crc32(key.encode()))
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
    x = x ^ (x >> np.uint32(16))
    return ((x.astype(np.float64) + 0.5) / 2.0**31 - 1.0).reshape(shape)


def _recipe(key: str, shape: tuple[int, ...]) -> np.ndarray:
    u, last = _uniform(key, shape), key.split(".")[-1]
    if last == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if last == "running_mean":
        u = 0.2 * u
    elif last == "running_var":
        u = 1 + 0.5 * u
    elif last == "bias":
        u = 0.1 * u
    elif last.startswith("lambda_scale"):
        u = 0.5 * u
    elif last.startswith("lambda_"):
        u = 0.3 * u
    elif len(shape) == 1:
        u = 1 + 0.2 * u
    else:
        u = u * math.sqrt(3 / math.prod(shape[1:]))
    return u.astype(np.float32)
