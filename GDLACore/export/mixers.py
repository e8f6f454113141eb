"""The graphs of the decoder blocks the paper compares GDLA with: softmax, differential and linear.

GDLACore.network says what is computed. An attention takes and returns an image [n, c, h, w]. Inside
it the tokens are the last axis, and all numbers are of single precision, as they are in GDLA.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from GDLACore.export.gdla import LAYER_NORM_EPS, NORMALISER_EPS, feature_map, rms_norm
from GDLACore.export.graph import Graph
from GDLACore.export.layers import (
    Weights,
    channels_first,
    channels_last,
    convolution,
    layer_norm,
    pointwise,
    silu,
)
from GDLACore.model.onnx_tensor import FLOAT32
from GDLACore.weights.shapes import HEAD_WIDTH

# From an image [n, c, h, w] to another, with the weights below a name.
Layer = Callable[[Graph, str, Weights, str], str]

_ROTARY_BASE = 10000.0


def softmax_block(graph: Graph, x: str, weights: Weights, name: str, _depth: int) -> str:
    """Mix ``x`` [n, h, w, c] by softmax attention with rotary positions; same shape out."""
    return _block(graph, x, weights, name, _softmax_attention, _mlp)


def linear_block(graph: Graph, x: str, weights: Weights, name: str, _depth: int) -> str:
    """Mix ``x`` [n, h, w, c] by linear attention with the ELU + 1 kernel; same shape out."""
    return _block(graph, x, weights, name, _linear_attention, _mlp)


def differential_block(graph: Graph, x: str, weights: Weights, name: str, depth: int) -> str:
    """Mix ``x`` [n, h, w, c] by differential attention with rotary positions; same shape out.

    ``depth`` is the number of the decoder stage counted from the image, 1 at stride 4.
    """
    attention = partial(_differential_attention, depth=depth)
    return _block(graph, x, weights, name, attention, _gated_mlp)


def _block(graph: Graph, x: str, weights: Weights, name: str, attention: Layer, mlp: Layer) -> str:
    for layer, norm, part in ((attention, "norm1", "attn"), (mlp, "norm2", "mlp")):
        y = layer_norm(graph, x, weights, f"{name}.{norm}", LAYER_NORM_EPS)
        y = layer(graph, channels_first(graph, y), weights, f"{name}.{part}")
        x = graph("Add", channels_last(graph, y), x)
    return x


def _softmax_attention(graph: Graph, x: str, weights: Weights, name: str) -> str:
    y = _attended(graph, x, weights, name, maps=1)
    y = graph("Reshape", graph.own(y), graph("Shape", x))
    return _linear(graph, y, weights, f"{name}.out_proj")


def _differential_attention(graph: Graph, x: str, weights: Weights, name: str, depth: int) -> str:
    start = 0.8 - 0.6 * math.exp(-0.3 * depth)
    plus, minus = (
        np.exp((weights[f"{name}.lambda_q{i}"] * weights[f"{name}.lambda_k{i}"]).sum())
        for i in (1, 2)
    )
    scale = graph.constant(np.float32(plus - minus + start))
    both = _attended(graph, x, weights, name, maps=2)
    first, second = graph("Split", both, graph.constant([1, 1]), axis=2, outputs=2)
    y = rms_norm(graph, graph("Sub", first, graph("Mul", second, scale)), axis=3)
    y = graph("Reshape", graph.own(y), graph("Shape", x))
    # What RMSNorm multiplies by, the same for all heads, moves into the matrix that follows.
    output = weights[f"{name}.out_proj.weight"]
    gain = np.tile(weights[f"{name}.norm.weight"], len(output) // HEAD_WIDTH) * (1 - start)
    return convolution(graph, y, pointwise(output * gain))


def _linear_attention(graph: Graph, x: str, weights: Weights, name: str) -> str:
    heads = len(weights[f"{name}.out_proj.weight"]) // HEAD_WIDTH
    qkv = graph.single(_linear(graph, x, weights, f"{name}.qkv"))
    qkv = graph("Reshape", qkv, graph.constant([0, 3 * heads, HEAD_WIDTH, -1]))
    qk, v = graph("Split", qkv, graph.constant([2 * heads, heads]), axis=1, outputs=2)
    phi = feature_map(graph, qk)
    q, k = graph("Split", phi, graph.constant([heads, heads]), axis=1, outputs=2)
    key_sum = graph("ReduceSum", k, graph.constant([3]), keepdims=1)
    normaliser = graph("MatMul", graph("Transpose", key_sum, perm=[0, 1, 3, 2]), q)
    normaliser = graph("Add", normaliser, graph.constant(np.float32(NORMALISER_EPS)))
    memory = graph("MatMul", v, graph("Transpose", k, perm=[0, 1, 3, 2]))
    y = graph("Div", graph("MatMul", memory, q), normaliser)
    y = graph("Reshape", graph.own(y), graph("Shape", x))
    return _linear(graph, y, weights, f"{name}.out_proj")


def _attended(graph: Graph, x: str, weights: Weights, name: str, maps: int) -> str:
    """Return what ``maps`` softmax maps per head attend to, [n, heads, maps, 32, tokens].

    Each map has its own 32 / maps channels of queries and keys; the values are those of the head.
    """
    heads = len(weights[f"{name}.out_proj.weight"]) // HEAD_WIDTH
    pairs = HEAD_WIDTH // maps // 2
    matrix, bias = _prepared(weights[f"{name}.qkv.weight"], weights[f"{name}.qkv.bias"], maps)
    qkv = graph.single(convolution(graph, x, pointwise(matrix), bias))
    qkv = graph("Reshape", qkv, graph.constant([0, 3 * heads, HEAD_WIDTH, -1]))
    qk, v = graph("Split", qkv, graph.constant([2 * heads, heads]), axis=1, outputs=2)
    qk = graph("Reshape", qk, graph.constant([0, 2 * heads * maps, 2, pairs, -1]))
    qk = _rotated(graph, qk, pairs)
    qk = graph("Reshape", qk, graph.constant([0, 2 * heads, maps, 2 * pairs, -1]))
    q, k = graph("Split", qk, graph.constant([heads, heads]), axis=1, outputs=2)
    scores = graph("MatMul", graph("Transpose", q, perm=[0, 1, 2, 4, 3]), k)
    attention = graph("Softmax", scores, axis=-1)
    v = graph("Transpose", graph("Unsqueeze", v, graph.constant([2])), perm=[0, 1, 2, 4, 3])
    return graph("Transpose", graph("MatMul", attention, v), perm=[0, 1, 2, 4, 3])


def _prepared(matrix: np.ndarray, bias: np.ndarray, maps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return matrix and bias of the projection to q, k and v, made ready for ``_rotated``.

    Scores do not care for the order of the channels in which queries and keys meet, so the first
    of all pairs of a map come before the second; and softmax's scale moves into the queries.
    """
    width = HEAD_WIDTH // maps
    both = np.column_stack([matrix, bias])
    q, k, v = np.split(both, 3)
    q, k = (
        part.reshape(-1, width // 2, 2, part.shape[1]).swapaxes(1, 2).reshape(part.shape)
        for part in (q * np.float32(width**-0.5), k)
    )
    both = np.concatenate([q, k, v])
    return both[:, :-1], both[:, -1]


def _rotated(graph: Graph, x: str, pairs: int) -> str:
    """Turn the pairs of channels of ``x`` [n, maps, 2, pairs, tokens] by their token's index.

    Pair p of token t turns by ``t * 10000 ** (-p / pairs)`` (Su et al., arXiv 2104.09864).
    """
    frequency = _ROTARY_BASE ** -(np.arange(pairs) / pairs)
    tokens = graph("Squeeze", graph("Shape", x, start=4, end=5))
    index = graph("Range", graph.constant(np.int64(0)), tokens, graph.constant(np.int64(1)))
    angle = graph(
        "Mul",
        graph("Cast", index, to=FLOAT32),
        graph.constant(frequency.astype(np.float32)[:, None]),
    )
    signs = graph.constant(np.array([-1, 1], np.float32)[:, None, None])
    cosine, sine = graph("Cos", angle), graph("Mul", graph("Sin", angle), signs)
    swapped = graph("Gather", x, graph.constant([1, 0]), axis=2)
    return graph("Add", graph("Mul", x, cosine), graph("Mul", swapped, sine))


def _linear(graph: Graph, x: str, weights: Weights, name: str) -> str:
    return convolution(graph, x, pointwise(weights[f"{name}.weight"]), weights[f"{name}.bias"])


def _mlp(graph: Graph, x: str, weights: Weights, name: str) -> str:
    hidden = graph("Gelu", _linear(graph, x, weights, f"{name}.fc1"))
    return _linear(graph, hidden, weights, f"{name}.fc2")


def _gated_mlp(graph: Graph, x: str, weights: Weights, name: str) -> str:
    matrices, biases = (np.split(weights[f"{name}.fc1.{part}"], 2) for part in ("weight", "bias"))
    value, gate = (
        convolution(graph, x, pointwise(matrix), bias)
        for matrix, bias in zip(matrices, biases, strict=True)
    )
    return _linear(graph, graph("Mul", value, silu(graph, gate)), weights, f"{name}.fc2")
