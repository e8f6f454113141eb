"""Models to export, made from recipes without PyTorch, and what ONNX Runtime makes of them."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import golden
import numpy as np
import onnxruntime
from phantom import make_card

from GDLACore.export.model_file import onnx_model
from GDLACore.model.card import Architecture, ModelCard
from GDLACore.weights.loading import ModelWeights
from GDLACore.weights.names import network_name
from GDLACore.weights.shapes import weight_shapes


def network_card(architecture: Architecture, in_channels: int = 1, classes: int = 9) -> ModelCard:
    card = make_card(tuple(f"structure {value}" for value in range(1, classes)))
    return replace(card, architecture=architecture, in_channels=in_channels)


def golden_model(mixer: str = "gdla", in_channels: int = 1, classes: int = 9) -> ModelWeights:
    """Return the network that made the golden vectors."""
    architecture = Architecture("b2", mixer)
    shapes = weight_shapes(architecture, in_channels, classes)
    ours = {
        network_name(name): name for name in golden.official_shapes(golden.OFFICIAL_MODELS[mixer])
    }
    tensors = {name: _recipe_weight(ours[name], shape) for name, shape in shapes.items()}
    return ModelWeights(network_card(architecture, in_channels, classes), tensors, Path("golden"))


def small_model(mixer: str = "gdla", in_channels: int = 1, classes: int = 9) -> ModelWeights:
    """Return the smallest network of a kind, with weights of which none is zero or one."""
    architecture = Architecture("b0", mixer)
    shapes = weight_shapes(architecture, in_channels, classes)
    tensors = {name: _recipe_weight(name, shape) for name, shape in shapes.items()}
    return ModelWeights(network_card(architecture, in_channels, classes), tensors, Path("small"))


def random_model(encoder: str) -> ModelWeights:
    """Return a network with any encoder; its random weights are made faster than a recipe's."""
    architecture = Architecture(encoder, "gdla")
    rng = np.random.default_rng(0)
    tensors = {}
    for name, shape in weight_shapes(architecture, 1, 9).items():
        values = rng.random(shape, np.float32) - np.float32(0.5)
        if len(shape) > 1:
            values *= np.float32(math.sqrt(12 / math.prod(shape[1:])))
        elif not name.endswith(("bias", "running_mean")):
            values += 1
        tensors[name] = values
    return ModelWeights(network_card(architecture), tensors, Path("random"))


def changed(model: ModelWeights, part: str, factor: float) -> ModelWeights:
    """Return ``model`` with every weight multiplied by ``factor`` whose name holds ``part``."""
    tensors = {
        name: value * np.float32(factor) if part in name else value
        for name, value in model.tensors.items()
    }
    return replace(model, tensors=tensors)


def session(model: ModelWeights | bytes, precision: str = "fp32") -> onnxruntime.InferenceSession:
    """Return a session on one thread of the CPU for a model, or for the bytes of a file."""
    content = model if isinstance(model, bytes) else onnx_model(model, precision)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])


def logits(
    model: ModelWeights | onnxruntime.InferenceSession, image: np.ndarray, precision: str = "fp32"
) -> np.ndarray:
    """Return [n, classes, h, w] for ``image`` [n, channels, h, w]."""
    run = session(model, precision).run if isinstance(model, ModelWeights) else model.run
    return run(["logits"], {"image": image})[0]


def image(*shape: int, seed: int = 0) -> np.ndarray:
    """Return float32 numbers [n, channels, h, w] of order one."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


@cache
def _recipe_weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    values = golden.recipe_weights({name: shape})[name]
    values.flags.writeable = False  # shared by the models of a test run
    return values
