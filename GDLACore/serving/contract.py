"""What a served model takes and gives, whichever program serves it: contract 1.

One model of the Open Inference Protocol (KServe v2) for every model of ours, under the name of its
card. Axis 0 of every tensor counts slices. The client does what belongs to the image, its intensity
profile and its resampling to the network's square, so that a small picture without a name is all
that travels; the server does the network and the labels.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from GDLACore.errors import ModelFileError
from GDLACore.model.card import ModelCard

CONTRACT = "1"
CONTRACT_KEY = "gdla.contract"
CARD_KEY = "gdla.card"

# Inputs. Of rows [n, h] and columns [n, w] only the lengths count: they are the size of the labels
# wanted. Servers join requests whose tensors have the same shapes, so sizes cannot be mixed up.
IMAGE = "image"
SCALING = "scaling"
ROWS = "rows"
COLUMNS = "columns"

# Outputs, of which a server sends those asked for.
LABELS = "labels"
MARGIN = "margin"
LOGITS = "logits"
FINITE = "finite"
WEIGHTS = "weights"

# Lengths of axes left open; the first axis always is.
FREE = -1

# Names of the protocol for types of numbers.
NUMPY_TYPES: Mapping[str, type[np.generic]] = {
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "INT16": np.int16,
    "FP16": np.float16,
    "FP32": np.float32,
}

_SHA256_BYTES = 32

# To make labels a server enlarges the logits of all classes, of all slices that it runs together:
# for large photographs it would need gigabytes.
_MOST_PIXELS = 1024 * 1024

_LOWEST = -32768  # of int16
_STEPS = 65535  # between the lowest and the highest int16

_EXPORT_AGAIN = "Export the model for the server again with `gdla export --triton` of this version."


@dataclass(frozen=True)
class TensorKind:
    """One input or output: its name, its type as the protocol calls it, and its shape.

    ``shape`` begins with the slices; FREE stands for a length that requests choose.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]

    @property
    def numpy_type(self) -> type[np.generic]:
        return NUMPY_TYPES[self.datatype]

    def __str__(self) -> str:
        return _in_words(self.datatype, self.shape)


def inputs(card: ModelCard) -> tuple[TensorKind, ...]:
    """Return what the served model of ``card`` takes.

    - image, INT16 [n, c, s, s], and scaling, FP32 [n, 2]: see ``dequantised``.
    - rows, UINT8 [n, h], and columns, UINT8 [n, w]: zeros, whose numbers h and w are the size of
      the labels wanted, ``most_pixels`` at most. h = w = s asks for the network's own grid, without
      interpolation.
    """
    side = card.input_size
    return (
        TensorKind(IMAGE, "INT16", (FREE, card.in_channels, side, side)),
        TensorKind(SCALING, "FP32", (FREE, 2)),
        TensorKind(ROWS, "UINT8", (FREE, FREE)),
        TensorKind(COLUMNS, "UINT8", (FREE, FREE)),
    )


def outputs(card: ModelCard) -> tuple[TensorKind, ...]:
    """Return what the served model of ``card`` gives.

    - labels, UINT8 (UINT16 above 255 structures) [n, h, w]: the class of the largest logit, the
      first of equals, where the logits are interpolated linearly to h x w. Where ``needs_logits``,
      a client makes them itself.
    - margin, FP16 [n, s, s]: how far the most probable class surpasses the next; see
      ``GDLACore.engine.confidence``.
    - logits, FP32 [n, classes, s, s].
    - finite, UINT8 [n, 1]: 1 where all logits of a slice are finite. Where it is 0, the other
      outputs of that slice mean nothing.
    - weights, UINT8 [n, 32]: see ``weights_mark``. A server may exchange a model at any time; so
      every answer says by itself whose it is.
    """
    side = card.input_size
    labels = "UINT8" if len(card.labels) <= np.iinfo(np.uint8).max else "UINT16"
    return (
        TensorKind(LABELS, labels, (FREE, FREE, FREE)),
        TensorKind(MARGIN, "FP16", (FREE, side, side)),
        TensorKind(LOGITS, "FP32", (FREE, card.classes, side, side)),
        TensorKind(FINITE, "UINT8", (FREE, 1)),
        TensorKind(WEIGHTS, "UINT8", (FREE, _SHA256_BYTES)),
    )


def weights_mark(card: ModelCard) -> np.ndarray:
    """Return what tells the weights of ``card``, and their use by a server, from others.

    UINT8 [32], the SHA-256 of a line of text: the contract, the weights' own SHA-256 ("None" where
    it is not known), and what else decides what a server computes, each after a space.
    """
    kind = card.architecture
    sizes = (card.in_channels, card.input_size, card.classes)
    facts = (CONTRACT, card.sha256, kind.encoder, kind.mixer, *sizes, card.resampling)
    line = " ".join(map(str, facts))
    return np.frombuffer(hashlib.sha256(line.encode("ascii")).digest(), np.uint8)


def most_pixels(card: ModelCard) -> int:
    """Return the pixels h x w of the largest labels that a server makes."""
    return max(_MOST_PIXELS, card.input_size**2)


def needs_logits(card: ModelCard, shape: tuple[int, int]) -> bool:
    """Return whether labels of ``shape`` (h, w) cannot be had from the server, only logits.

    So it is for photographs smaller than the network's square, where reducing logits needs the
    filter against aliasing that the published protocol has; and for more than ``most_pixels``.
    """
    is_reduced = card.resampling == "antialias" and min(shape) < card.input_size
    return is_reduced or shape[0] * shape[1] > most_pixels(card)


def quantised(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the network's input [n, c, s, s], finite float32, as ``image`` and ``scaling``.

    ``dequantised`` gives the images back to within half a step, and the rounding of float32. A
    step is 1/65535 of a slice's range from its lowest to its highest value, so half of it is less
    than 1/131000 of the range: over most of the range finer than float16, at the same size.
    A slice of one value only comes back exactly.
    """
    axes = tuple(range(1, images.ndim))
    lowest = images.min(axis=axes).astype(np.float64)
    highest = images.max(axis=axes).astype(np.float64)
    step = ((highest - lowest) / _STEPS).astype(np.float32)
    # From the step as it travels, rounded, or the highest value could miss the last of int16.
    offset = ((highest + lowest) / 2 + step / 2).astype(np.float32)
    scaling = np.stack([step, offset], axis=1)
    divisor = np.where(step > 0, step, np.float32(1))
    one = (slice(None), *(np.newaxis,) * (images.ndim - 1))
    steps = (images - offset[one]) / divisor[one]
    np.rint(steps, out=steps)
    np.clip(steps, _LOWEST, _LOWEST + _STEPS, out=steps)
    return steps.astype(np.int16), scaling


def dequantised(image: np.ndarray, scaling: np.ndarray) -> np.ndarray:
    """Return the network's input, float32 [n, c, s, s]: image x step + offset, slice by slice.

    ``image`` is INT16 [n, c, s, s]; ``scaling``, FP32 [n, 2], has every slice's step and offset.
    """
    step, offset = (
        scaling[:, part].reshape(-1, *(1,) * (image.ndim - 1)).astype(np.float32, copy=False)
        for part in range(2)
    )
    images = image.astype(np.float32)
    images *= step
    images += offset
    return images


def parameters(card: ModelCard) -> dict[str, str]:
    """Return what a served model's configuration tells of itself beyond its tensors."""
    text = json.dumps(card.to_dict(), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return {CONTRACT_KEY: CONTRACT, CARD_KEY: text}


def told_card(config: Mapping[str, Any]) -> ModelCard | None:
    """Return the card in a served model's configuration, as ``v2/models/NAME/config`` gives it.

    None if the configuration tells none, as that of a server without ``parameters`` does. Raises
    ModelFileError for a card that cannot be read, and for a model made for another contract.
    """
    name = config.get("name")
    contract, card = (_parameter(config, key) for key in (CONTRACT_KEY, CARD_KEY))
    if contract is not None and contract != CONTRACT:
        raise ModelFileError(
            f"The served model {name!r} is made for version {contract[:20]!r} of what such models "
            f"take and give; this program knows version {CONTRACT}.",
            "Use the same version of GDLASegmenter on both sides, or export the model again.",
        )
    if card is None:
        return None
    return ModelCard.from_json(card, f"The card of the served model {name!r}")


def disagreement(metadata: Mapping[str, Any], card: ModelCard) -> str:
    """Return in a sentence what a served model has otherwise than ``card`` asks, "" if nothing.

    ``metadata`` is what ``v2/models/NAME`` gives. Outputs beyond those of the contract are no
    disagreement, inputs are: nobody would fill them.
    """
    given = _tensors(metadata, "inputs"), _tensors(metadata, "outputs")
    for kind, found, expected in zip(
        ("input", "output"), given, (inputs(card), outputs(card)), strict=True
    ):
        for tensor in expected:
            there = found.get(tensor.name)
            if there is None:
                return f"It has no {kind} {tensor.name} ({tensor})."
            if not _fits(there, tensor):
                return f"Its {kind} {tensor.name} is {there}, not {tensor}."
    unknown = given[0].keys() - {tensor.name for tensor in inputs(card)}
    return f"It has an input too many: {min(unknown)[:64]!r}." if unknown else ""


def _parameter(config: Mapping[str, Any], key: str) -> str | None:
    listed = config.get("parameters")
    entry = listed.get(key) if isinstance(listed, Mapping) else None
    value = entry.get("string_value") if isinstance(entry, Mapping) else entry
    if value is not None and not isinstance(value, str):
        raise ModelFileError(
            f"The parameter {key} of the served model {config.get('name')!r} is no text.",
            _EXPORT_AGAIN,
        )
    return value


def _tensors(metadata: Mapping[str, Any], kind: str) -> dict[str, TensorKind]:
    """Return the well-formed tensors of ``metadata``; others are as good as not there."""
    listed = metadata.get(kind)
    tensors = {}
    for entry in listed if isinstance(listed, list) else []:
        if not isinstance(entry, Mapping):
            continue
        name, datatype, shape = (entry.get(key) for key in ("name", "datatype", "shape"))
        if isinstance(name, str) and isinstance(datatype, str) and isinstance(shape, list):
            # Some servers write lengths, 64-bit integers, as JSON texts.
            lengths = [_length(side) for side in shape]
            tensors[name] = TensorKind(name, datatype, tuple(lengths))
    return tensors


def _length(side: object) -> int:
    try:
        return int(side)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        return 0  # no length of ours


def _fits(there: TensorKind, expected: TensorKind) -> bool:
    return (
        there.datatype == expected.datatype
        and len(there.shape) == len(expected.shape)
        # A server may leave open what the card fixes: it sees for itself then.
        and all(
            found in (FREE, side) for found, side in zip(there.shape, expected.shape, strict=True)
        )
    )


def _in_words(datatype: str, shape: Iterable[int]) -> str:
    sides = ", ".join("any" if side == FREE else str(side) for side in shape)
    return f"{datatype[:16]} [{sides}]"
