"""Small models to serve for real, and NVIDIA's own client to ask for what our engine gives.

The client knows nothing of our code, so it is a witness that what is served follows the protocol.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from exported import small_model
from onnx_networks import slices
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput, InferResult

from GDLACore.engine.onnx_engine import OnnxEngine
from GDLACore.model.card import ModelCard
from GDLACore.serving import contract
from GDLACore.weights.loading import ModelWeights

DATATYPES = {numpy_type: name for name, numpy_type in contract.NUMPY_TYPES.items()}


@dataclass(frozen=True, eq=False)
class Picture:
    """One request: slices as they travel, and the size of the labels wanted."""

    image: np.ndarray
    scaling: np.ndarray
    shape: tuple[int, int]

    @property
    def network_input(self) -> np.ndarray:
        return contract.dequantised(self.image, self.scaling)


def picture(card: ModelCard, count: int, shape: tuple[int, int], seed: int = 5) -> Picture:
    side = card.input_size
    pictures = slices(count, side, side, card.in_channels, seed)
    return Picture(*contract.quantised(pictures), shape)


def named(model: ModelWeights, **fields: object) -> ModelWeights:
    return replace(model, card=replace(model.card, **fields))


GREY = named(small_model(), name="grey", sha256="5c" * 32)
COLOUR = named(small_model(in_channels=3), name="colour", resampling="antialias")
MANY = named(small_model(classes=258), name="many")
ALL = tuple(kind.name for kind in contract.outputs(GREY.card))
MODELS = {model.card.name: model for model in (GREY, COLOUR, MANY)}


def asked(
    client: InferenceServerClient, model: str, asking: Picture, wanted: tuple[str, ...] = ALL
) -> InferResult:
    count, (height, width) = len(asking.image), asking.shape
    arrays = {
        contract.IMAGE: asking.image,
        contract.SCALING: asking.scaling,
        contract.ROWS: np.zeros((count, height), np.uint8),
        contract.COLUMNS: np.zeros((count, width), np.uint8),
    }
    inputs = []
    for name, array in arrays.items():
        inputs.append(InferInput(name, array.shape, DATATYPES[array.dtype.type]))
        inputs[-1].set_data_from_numpy(array)
    outputs = [InferRequestedOutput(name) for name in wanted]
    return client.infer(model, inputs, outputs=outputs)


def expected_logits(engine: OnnxEngine, asking: Picture) -> np.ndarray:
    """Return what ``engine`` computes of the same input, one by one as it does on a CPU."""
    return np.concatenate([engine.logits(one[None]) for one in asking.network_input])


def expected_labels(engine: OnnxEngine, asking: Picture) -> np.ndarray:
    """Return the labels that ``engine`` gives for the same network's input."""
    logits = expected_logits(engine, asking)
    side = engine.card.input_size
    borders = "published" if asking.shape == (side, side) else "smooth"
    return engine.labels(logits, asking.shape, borders)
