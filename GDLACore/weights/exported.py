"""Weights read back from an exported network, so that any model in use can be taught further.

GDLACore.export rewrites a network by exact algebra, and part of what it joins cannot be told apart
again: the three planes of the first kernel, a batch normalisation and its convolution. What is
returned here computes the same in inference, with the joined part in one weight and the others as
if they did nothing. The batch normalisations no longer know the statistics of any image, so they
must not be taught.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from GDLACore.errors import ModelFileError
from GDLACore.model.card import ModelCard
from GDLACore.model.onnx_file import read_onnx_card
from GDLACore.model.onnx_nodes import OnnxNode, read_onnx_nodes
from GDLACore.weights.fitting import fitted
from GDLACore.weights.loading import ModelWeights
from GDLACore.weights.shapes import ENCODER_SIZES, HEAD_WIDTH, weight_shapes

_HEADS = (1, 2, 5, 8)  # of the encoder's stages
_BATCH_NORM_EPS = 1e-5

Weights = dict[str, np.ndarray]


def load_exported(path: Path) -> ModelWeights:
    """Return the weights and the card of the exported network (``.onnx``) at ``path``.

    Raises ModelFileError if the file is damaged, is none of ours, or was exported in another way
    than this version's.
    """
    card = read_onnx_card(path)
    nodes = _Nodes(read_onnx_nodes(path))
    try:
        weights = _network(nodes, card)
    except (StopIteration, ValueError, IndexError) as error:
        raise ModelFileError(
            f"{path} was exported by another version: its weights cannot be read back.",
            "Give the checkpoint or the .safetensors file that it was made from.",
        ) from error
    expected = weight_shapes(card.architecture, card.in_channels, card.classes)
    what = f"the model {card.name} ({card.architecture})"
    return ModelWeights(card, fitted(weights, expected, path, what), path)


class _Nodes:
    """Goes through the nodes once; each call skips to the next of the kind that is asked for."""

    def __init__(self, nodes: list[OnnxNode]) -> None:
        self._left: Iterator[OnnxNode] = iter(nodes)

    def constants(self, operator: str, rank: int) -> list[np.ndarray]:
        """Return the constants, float32, of the next node that has one with ``rank`` axes."""
        for node in self._left:
            if node.operator == operator and any(
                array.dtype.kind == "f" and array.ndim == rank for array in node.constants
            ):
                return [array.astype(np.float32) for array in node.constants]
        raise StopIteration

    def layer(self, operator: str, rank: int, name: str) -> Weights:
        """Return weight and, where there is one, bias of the next such node, as ``name``."""
        parts = zip(("weight", "bias"), self.constants(operator, rank), strict=False)
        return {f"{name}.{part}": array for part, array in parts}

    def convolution(self, name: str) -> Weights:
        return self.layer("Conv", 4, name)

    def linear(self, name: str) -> Weights:
        """Return a linear layer that was exported as a convolution."""
        return {
            key: value[:, :, 0, 0] if value.ndim == 4 else value
            for key, value in self.convolution(name).items()
        }

    def norm(self, name: str) -> Weights:
        return self.layer("LayerNormalization", 1, name)

    def matrix(self) -> np.ndarray:
        return self.constants("MatMul", 2)[0].T

    def vector(self) -> np.ndarray:
        return self.constants("Add", 1)[0]


def _network(nodes: _Nodes, card: ModelCard) -> Weights:
    weights: Weights = {}
    size = ENCODER_SIZES[card.architecture.encoder]
    for stage, (channels, depth) in enumerate(zip(size.channels, size.depths, strict=True)):
        name = f"encoder.stages.{stage}"
        embedding = f"{name}.downsample" if stage else "encoder.patch_embed"
        weights |= nodes.convolution(f"{embedding}.proj") | nodes.norm(f"{embedding}.norm")
        for block in range(depth):
            weights |= _encoder_block(
                nodes, f"{name}.blocks.{block}", channels, _HEADS[stage], reduced=stage < 3
            )
        weights |= nodes.norm(f"{name}.norm")
    first = "encoder.patch_embed.proj.weight"
    if card.in_channels == 1:  # the network repeats a grey image in three planes
        weights[first] = np.repeat(weights[first] / 3, 3, axis=1)
    block = _BLOCKS[card.architecture.mixer]
    for number in range(3):
        name = f"decoder.{number}"
        weights |= nodes.layer("ConvTranspose", 4, f"{name}.up")
        weights |= block(nodes, f"{name}.block", 3 - number)
    nodes.convolution("head")  # without its bias, before enlarging; the same comes again
    weights |= _stem(nodes, card.in_channels)
    return weights | nodes.convolution("head")


def _encoder_block(
    nodes: _Nodes, name: str, channels: int, heads: int, *, reduced: bool
) -> Weights:
    attention = f"{name}.attn"
    weights = nodes.norm(f"{name}.norm1")
    if reduced:
        weights |= nodes.convolution(f"{attention}.sr") | nodes.norm(f"{attention}.norm")
    scale = np.float32((channels // heads) ** -0.5)
    weights[f"{attention}.q.weight"] = nodes.matrix() / scale
    weights[f"{attention}.q.bias"] = nodes.vector() / scale
    weights[f"{attention}.kv.weight"] = np.concatenate([nodes.matrix(), nodes.matrix()])
    weights[f"{attention}.kv.bias"] = np.zeros(2 * channels, np.float32)
    weights[f"{attention}.proj.weight"] = nodes.matrix()
    weights[f"{attention}.proj.bias"] = nodes.vector()
    weights |= nodes.norm(f"{name}.norm2") | nodes.linear(f"{name}.mlp.fc1")
    return weights | nodes.convolution(f"{name}.mlp.dwconv") | nodes.linear(f"{name}.mlp.fc2")


def _gdla_block(nodes: _Nodes, name: str, _depth: int) -> Weights:
    attention = f"{name}.attn"
    weights = nodes.norm(f"{name}.norm1") | nodes.convolution(f"{name}.conv")
    weights |= nodes.linear(f"{attention}.qkvg")
    weights |= nodes.convolution(f"{attention}.local.0")
    weights |= nodes.convolution(f"{attention}.local.1")
    for branch in ("main", "local"):
        (signed,) = nodes.constants("Mul", 3)
        weights[f"{attention}.lambda_{branch}"] = -signed[:, :, -1]
    weights[f"{attention}.norm.weight"] = np.ones(HEAD_WIDTH, np.float32)
    output = nodes.linear(f"{attention}.out_proj")
    other = nodes.linear("other")["other.weight"]
    key = f"{attention}.out_proj.weight"
    weights |= output | {key: np.concatenate([output[key], other], axis=1)}
    weights |= nodes.norm(f"{name}.norm2")
    halves = [
        nodes.convolution(f"{name}.mlp.expand") | nodes.convolution(f"{name}.mlp.depthwise")
        for _ in range(2)
    ]
    weights |= {key: np.concatenate([half[key] for half in halves]) for key in halves[0]}
    return weights | nodes.convolution(f"{name}.mlp.project")


def _softmax_block(nodes: _Nodes, name: str, _depth: int) -> Weights:
    weights = nodes.norm(f"{name}.norm1") | _projection(nodes, f"{name}.attn.qkv", maps=1)
    return weights | nodes.linear(f"{name}.attn.out_proj") | _mlp(nodes, name)


def _linear_block(nodes: _Nodes, name: str, _depth: int) -> Weights:
    weights = nodes.norm(f"{name}.norm1") | nodes.linear(f"{name}.attn.qkv")
    return weights | nodes.linear(f"{name}.attn.out_proj") | _mlp(nodes, name)


def _differential_block(nodes: _Nodes, name: str, depth: int) -> Weights:
    attention = f"{name}.attn"
    start = 0.8 - 0.6 * math.exp(-0.3 * depth)
    weights = nodes.norm(f"{name}.norm1") | _projection(nodes, f"{attention}.qkv", maps=2)
    (scale,) = nodes.constants("Mul", 0)
    # exp(first) - exp(second) is what was learnt; neither is 0, where nothing more could be.
    learnt = float(scale) - start
    second = math.log(1.1 + max(0.0, -learnt))
    first = math.log(math.exp(second) + learnt)
    for number, value in ((1, first), (2, second)):
        root = np.full(HEAD_WIDTH, math.sqrt(abs(value) / HEAD_WIDTH), np.float32)
        weights[f"{attention}.lambda_q{number}"] = root
        weights[f"{attention}.lambda_k{number}"] = np.float32(math.copysign(1, value)) * root
    output = nodes.linear(f"{attention}.out_proj")
    weights |= {key: value / np.float32(1 - start) for key, value in output.items()}
    weights[f"{attention}.norm.weight"] = np.ones(HEAD_WIDTH, np.float32)
    weights |= nodes.norm(f"{name}.norm2")
    halves = [nodes.linear(f"{name}.mlp.fc1") for _ in range(2)]
    weights |= {key: np.concatenate([half[key] for half in halves]) for key in halves[0]}
    return weights | nodes.linear(f"{name}.mlp.fc2")


def _mlp(nodes: _Nodes, name: str) -> Weights:
    norm = nodes.norm(f"{name}.norm2")
    return norm | nodes.linear(f"{name}.mlp.fc1") | nodes.linear(f"{name}.mlp.fc2")


def _projection(nodes: _Nodes, name: str, maps: int) -> Weights:
    """Return a projection to q, k and v whose channels were put in another order for positions."""
    width = HEAD_WIDTH // maps
    parts = nodes.linear(name)
    both = np.column_stack([parts[f"{name}.weight"], parts[f"{name}.bias"]])
    q, k, v = np.split(both, 3)
    q, k = (
        part.reshape(-1, 2, width // 2, part.shape[1]).swapaxes(1, 2).reshape(part.shape)
        for part in (q / np.float32(width**-0.5), k)
    )
    both = np.concatenate([q, k, v])
    return {f"{name}.weight": both[:, :-1], f"{name}.bias": both[:, -1]}


def _stem(nodes: _Nodes, in_channels: int) -> Weights:
    first, first_bias = nodes.constants("Conv", 4)
    both, bias = nodes.constants("Conv", 4)
    weights = {
        "stem.conv1.weight": first,
        "stem.conv2.weight": both[:, :in_channels],
        "stem.conv3.weight": both[:, in_channels:, 1:2, 1:2],
    }
    for number, shift in ((1, first_bias), (2, bias), (3, np.zeros_like(bias))):
        weights[f"stem.norm{number}.weight"] = np.ones_like(shift)
        weights[f"stem.norm{number}.bias"] = shift
        weights[f"stem.norm{number}.running_mean"] = np.zeros_like(shift)
        weights[f"stem.norm{number}.running_var"] = np.full_like(shift, 1 - _BATCH_NORM_EPS)
    return weights


_BLOCKS: dict[str, Callable[[_Nodes, str, int], Weights]] = {
    "gdla": _gdla_block,
    "softmax": _softmax_block,
    "linear": _linear_block,
    "differential": _differential_block,
}
