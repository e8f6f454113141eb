"""How many multiply-adds PVT-GDLA takes, counted from the shapes of its weights.

Convolutions and matrix products, the attentions' among them; as everywhere, not what is done
element by element (norms, activations, gates, bilinear enlarging: 1 % more).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

Shape = tuple[int, ...]

_HEAD_WIDTH = 32


def count(shapes: Mapping[str, Shape], height: int, width: int) -> dict[str, int]:
    """Return the multiply-adds of each part of the network for one image of height x width.

    ``shapes`` are those of the weights, under GDLACore's names, mixer "gdla". The parts: "encoder
    1" to "encoder 4", "decoder 1" (at stride 16) to "decoder 3" (at stride 4), "stem" and "head".
    """
    pixels = height * width
    parts: dict[str, int] = {}
    for name, shape in shapes.items():
        if positions := _positions(name, shape, shapes, pixels):
            part = _part(name)
            parts[part] = parts.get(part, 0) + math.prod(shape) * positions
    for name, shape in shapes.items():
        if products := _attention(name, shape, shapes, pixels):
            parts[_part(name)] += products
    return parts


def _positions(name: str, shape: Shape, shapes: Mapping[str, Shape], pixels: int) -> int:
    """Return at how many places the weight ``name`` is multiplied with what it meets there."""
    if not name.endswith(".weight") or len(shape) < 2 or name.startswith("auxiliary_heads."):
        return 0
    tokens = pixels // _stride(name) ** 2
    if name.endswith((".attn.sr.weight", ".attn.kv.weight")):
        return tokens // _reduction(name, shapes)
    if name == "head.weight":  # once on the decoder's features, once on the stem's
        return tokens + pixels
    return tokens


def _attention(name: str, shape: Shape, shapes: Mapping[str, Shape], pixels: int) -> int:
    """Return the products of queries, keys and values of the attention that ``name`` begins."""
    tokens = pixels // _stride(name) ** 2
    if name.endswith(".attn.q.weight"):  # softmax, over the reduced tokens
        channels = shape[0]
        return 2 * channels * tokens * (tokens // _reduction(name, shapes))
    if name.endswith(".attn.qkvg.weight"):  # linear, in two branches
        channels = shape[1]
        return 2 * 2 * channels * _HEAD_WIDTH * tokens
    return 0


def _reduction(name: str, shapes: Mapping[str, Shape]) -> int:
    """Return how many tokens the encoder's attention of ``name`` takes together."""
    kernel = shapes.get(re.sub(r"attn\.\w+\.weight$", "attn.sr.weight", name), (1,))
    return math.prod(kernel[2:])


def _stride(name: str) -> int:
    """Return the stride at which the weight is used: its output's, or a transposed one's input."""
    if match := re.match(r"encoder\.(?:patch_embed|stages\.(\d))", name):
        return 4 << int(match[1] or 0)
    if match := re.match(r"decoder\.(\d)\.(up)?", name):
        return (32 if match[2] else 16) >> int(match[1])
    return 4 if name.startswith("head.") else 1


def _part(name: str) -> str:
    if match := re.match(r"encoder\.(?:patch_embed|stages\.(\d))", name):
        return f"encoder {int(match[1] or 0) + 1}"
    if match := re.match(r"decoder\.(\d)", name):
        return f"decoder {int(match[1]) + 1}"
    return name.partition(".")[0]
