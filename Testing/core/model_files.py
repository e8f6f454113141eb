"""Model files of every kind, made without PyTorch and without the ``onnx`` package."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import golden
import numpy as np
from phantom import make_card
from torch_files import zip_file

from GDLACore.model.bundle import CARD_KEY
from GDLACore.model.card import ModelCard
from GDLACore.model.protobuf import bytes_field, text_field, varint_field
from GDLACore.weights.shapes import weight_shapes

CARD = make_card()  # PVTv2-b0, gdla, 1 channel, 4 classes

Weights = dict[str, np.ndarray]

# onnx.proto: TensorProto.DataType and DataLocation
_FLOAT, _EXTERNAL = 1, 1


def recipe(card: ModelCard = CARD) -> Weights:
    """Return weights for the network of ``card``, by the golden recipe, under our names."""
    return golden.recipe_weights(weight_shapes(card.architecture, card.in_channels, card.classes))


def official_checkpoint(weights: Weights) -> bytes:
    """Return what the authors' training writes and releases."""
    return zip_file({"model_state_dict": weights, "epoch": 149, "best_dice": np.float32(0.83)})


def write_checkpoint(path: Path, weights: Weights, card: ModelCard = CARD) -> Path:
    """Write a PyTorch file, and its card beside it."""
    path.write_bytes(official_checkpoint(weights))
    path.with_suffix(".card.json").write_text(card.to_json(), encoding="utf-8")
    return path


def write_safetensors(path: Path, weights: Weights, card: ModelCard = CARD) -> Path:
    """Write one of our own model files, its card inside."""
    header: dict[str, object] = {"__metadata__": {CARD_KEY: card.to_json()}}
    position = 0
    for name, value in weights.items():
        place = [position, position := position + value.nbytes]
        header[name] = {"dtype": "F32", "shape": value.shape, "data_offsets": place}
    text = json.dumps(header).encode()
    content = [struct.pack("<Q", len(text)), text, *(value.tobytes() for value in weights.values())]
    path.write_bytes(b"".join(content))
    return path


def tensor(name: str, shape: Sequence[int], numbers: bytes) -> bytes:
    """Return a TensorProto of float32 that declares ``shape`` and carries ``numbers``."""
    return (
        b"".join(varint_field(1, side) for side in shape)
        + varint_field(2, _FLOAT)
        + text_field(8, name)
        + bytes_field(9, numbers)
    )


def tensor_elsewhere(name: str, shape: Sequence[int], location: str) -> bytes:
    """Return a TensorProto of float32 whose numbers are in the file ``location``."""
    return (
        b"".join(varint_field(1, side) for side in shape)
        + varint_field(2, _FLOAT)
        + text_field(8, name)
        + bytes_field(13, text_field(1, "location") + text_field(2, location))
        + varint_field(14, _EXTERNAL)
    )


def sound_weights(card: ModelCard = CARD) -> bytes:
    """Return the kernel [classes, in_channels, 3, 3] of ``onnx_file``'s convolution."""
    shape = (card.classes, card.in_channels, 3, 3)
    values = np.random.default_rng(0).normal(size=shape).astype("<f4")
    return tensor("kernel", shape, values.tobytes())


def onnx_file(
    *,
    image: Sequence[int | str] = ("n", 1, "h", "w"),
    weights: bytes = sound_weights(),
    opset: int = 20,
    metadata: Mapping[str, str] = {CARD_KEY: CARD.to_json()},
) -> bytes:
    """Return an ONNX file of one convolution, sound and for ``CARD`` unless told otherwise."""
    pads = (
        text_field(1, "pads") + b"".join(varint_field(8, 1) for _ in range(4)) + varint_field(20, 7)
    )
    node = (
        text_field(1, "image")
        + text_field(1, "kernel")
        + text_field(2, "logits")
        + text_field(4, "Conv")
        + bytes_field(5, pads)
    )
    graph = (
        bytes_field(1, node)
        + text_field(2, "network")
        + bytes_field(5, weights)
        + bytes_field(11, _value("image", image))
        + bytes_field(12, _value("logits", ("n", CARD.classes, "h", "w")))
    )
    return (
        varint_field(1, 9)
        + bytes_field(7, graph)
        + bytes_field(8, varint_field(2, opset))
        + b"".join(
            bytes_field(14, text_field(1, k) + text_field(2, v)) for k, v in metadata.items()
        )
    )


def _value(name: str, shape: Sequence[int | str]) -> bytes:
    sides = b"".join(
        bytes_field(1, varint_field(1, side) if isinstance(side, int) else text_field(2, side))
        for side in shape
    )
    tensor_type = varint_field(1, _FLOAT) + bytes_field(2, sides)
    return text_field(1, name) + bytes_field(2, bytes_field(1, tensor_type))
