"""The graph of a decoder block with Gated Differential Linear Attention (arXiv 2603.02727).

Rewritten to do less, by exact algebra; GDLACore.network says what is computed.
"""

from __future__ import annotations

import numpy as np

from GDLACore.export.graph import Graph
from GDLACore.export.layers import (
    Weights,
    channels_first,
    channels_last,
    convolution,
    depthwise,
    layer_norm,
    pointwise,
    silu,
)
from GDLACore.weights.shapes import HEAD_WIDTH

LAYER_NORM_EPS = 1e-5
NORMALISER_EPS = 1e-6

_RMS_NORM_EPS = 1e-5
_HALVES = 2
_ONE = np.float32(1)


def gdla_block(graph: Graph, x: str, weights: Weights, name: str, _depth: int) -> str:
    """Mix ``x`` [n, h, w, c] over the whole image; same shape out."""
    x = _attention(graph, x, weights, name)
    return _gated_mlp(graph, x, weights, name)


def feature_map(graph: Graph, x: str) -> str:
    """Return ELU(x) + 1."""
    # max(x, 0) + min(exp(x), 1), of which exp is the vectorised one.
    rising = graph("Min", graph("Exp", x), graph.constant(_ONE))
    return graph("Add", graph("Relu", x), rising)


def rms_norm(graph: Graph, y: str, axis: int) -> str:
    """Normalise ``y``, in single precision, along ``axis``, without the learned weight."""
    square = graph("ReduceMean", graph("Mul", y, y), graph.constant([axis]), keepdims=1)
    root = graph("Sqrt", graph("Add", square, graph.constant(np.float32(_RMS_NORM_EPS))))
    return graph("Div", y, root)


def _attention(graph: Graph, x: str, weights: Weights, name: str) -> str:
    channels = weights[f"{name}.norm1.weight"].size
    y = channels_first(graph, layer_norm(graph, x, weights, f"{name}.norm1", LAYER_NORM_EPS))
    y = convolution(
        graph, y, weights[f"{name}.conv.weight"], weights[f"{name}.conv.bias"], padding=1
    )
    y = silu(graph, y)
    a = f"{name}.attn"
    main = convolution(graph, y, pointwise(weights[f"{a}.qkvg.weight"]), weights[f"{a}.qkvg.bias"])
    local = depthwise(graph, main, weights[f"{a}.local.0.weight"], weights[f"{a}.local.0.bias"])
    local = convolution(graph, local, weights[f"{a}.local.1.weight"], weights[f"{a}.local.1.bias"])
    shape = graph("Shape", y)

    # The weight of RMSNorm, the same for all heads, moves into the matrix that follows.
    rms = np.tile(weights[f"{a}.norm.weight"], 2 * channels // HEAD_WIDTH)
    output = weights[f"{a}.out_proj.weight"] * rms
    mixed = [
        graph("Reshape", _branch(graph, qkvg, weights[f"{a}.lambda_{branch}"]), shape)
        for qkvg, branch in ((main, "main"), (local, "local"))
    ]
    halves = np.split(output, 2, axis=1)
    first = convolution(graph, mixed[0], pointwise(halves[0]), weights[f"{a}.out_proj.bias"])
    second = convolution(graph, mixed[1], pointwise(halves[1]))
    return graph("Add", channels_last(graph, graph("Add", first, second)), x)


def _branch(graph: Graph, qkvg: str, scale: np.ndarray) -> str:
    """Return one gated differential linear attention, [n, heads, 32, tokens].

    ``qkvg`` is [n, 4c, h, w]. Each half of phi(q) is divided by its own normaliser first; then
    one matrix per head, whose second half carries -lambda, gives A_1 - lambda A_2 at once.
    All of it in single precision: the sums over all tokens pass the range of float16, and what
    the subtraction leaves is small.
    """
    heads = len(scale)
    by_head = graph("Reshape", graph.single(qkvg), graph.constant([0, 4 * heads, HEAD_WIDTH, -1]))
    qk, v, gate = graph(
        "Split", by_head, graph.constant([2 * heads, heads, heads]), axis=1, outputs=3
    )
    phi = feature_map(graph, qk)
    q, k = graph("Split", phi, graph.constant([heads, heads]), axis=1, outputs=2)

    half = np.repeat(np.eye(_HALVES, dtype=np.float32), HEAD_WIDTH // _HALVES, axis=1)
    key_sum = graph("ReduceSum", k, graph.constant([3]), keepdims=1)
    key_sum = graph("Transpose", key_sum, perm=[0, 1, 3, 2])
    normaliser = graph("MatMul", graph("Mul", key_sum, graph.constant(half)), q)
    normaliser = graph("Add", normaliser, graph.constant(np.float32(NORMALISER_EPS)))
    normaliser = graph("Unsqueeze", normaliser, graph.constant([3]))
    q = graph("Reshape", q, graph.constant([0, heads, _HALVES, HEAD_WIDTH // _HALVES, -1]))
    q = graph("Div", q, normaliser)
    q = graph("Reshape", q, graph.constant([0, heads, HEAD_WIDTH, -1]))

    signed = np.stack([np.ones_like(scale), -scale], axis=2)  # [heads, 32, 2]
    signed = np.repeat(signed, HEAD_WIDTH // _HALVES, axis=2)
    memory = graph("MatMul", v, graph("Transpose", k, perm=[0, 1, 3, 2]))
    memory = graph("Mul", memory, graph.constant(signed))
    y = rms_norm(graph, graph("MatMul", memory, q), axis=2)
    return graph.own(graph("Mul", y, graph("Sigmoid", gate)))


def _gated_mlp(graph: Graph, x: str, weights: Weights, name: str) -> str:
    y = channels_first(graph, layer_norm(graph, x, weights, f"{name}.norm2", LAYER_NORM_EPS))
    parts = []
    for half in range(2):
        expand, expand_bias, kernel, bias = (
            np.split(weights[f"{name}.mlp.{part}"], 2)[half]
            for part in ("expand.weight", "expand.bias", "depthwise.weight", "depthwise.bias")
        )
        part = silu(graph, convolution(graph, y, expand, expand_bias))
        parts.append(depthwise(graph, part, kernel, bias))
    value, gate = parts
    y = convolution(
        graph, graph("Mul", value, silu(graph, gate)), weights[f"{name}.mlp.project.weight"]
    )
    return graph("Add", channels_last(graph, y), x)
