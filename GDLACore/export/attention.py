"""The graph of PVTv2's attention: every token of the image attends to those of a reduced image."""

from __future__ import annotations

import numpy as np

from GDLACore.export.graph import Graph
from GDLACore.export.layers import (
    Weights,
    channels_first,
    channels_last,
    convolution,
    layer_norm,
)

BLOCK_EPS = 1e-6  # of a block's and a stage's LayerNorm
EMBEDDING_EPS = 1e-5  # of those that follow a convolution


def attention(graph: Graph, x: str, shape: str, weights: Weights, name: str, heads: int) -> str:
    """Add softmax attention to ``x`` [n, h, w, c], whose shape is ``shape``; same shape out."""
    channels = weights[f"{name}.norm1.weight"].size
    y = layer_norm(graph, x, weights, f"{name}.norm1", BLOCK_EPS)
    reduced = _reduced(graph, y, weights, f"{name}.attn")

    scale = np.float32((channels // heads) ** -0.5)
    query = graph("MatMul", y, graph.weight(weights[f"{name}.attn.q.weight"].T * scale))
    query = graph("Add", query, graph.weight(weights[f"{name}.attn.q.bias"] * scale))
    query = _by_head(graph, query, heads, channels, [0, 2, 1, 3])
    # Without their biases: the keys' adds the same to every score of a token, which softmax does
    # not see; the values' adds the same to every token, as the weights of a token sum to one, and
    # joins the bias of the output.
    key_matrix, value_matrix = np.split(weights[f"{name}.attn.kv.weight"].T, 2, axis=1)
    keys = graph("MatMul", reduced, graph.weight(key_matrix))
    keys = _by_head(graph, keys, heads, channels, [0, 2, 3, 1])
    values = graph("MatMul", reduced, graph.weight(value_matrix))
    values = _by_head(graph, values, heads, channels, [0, 2, 1, 3])

    attending = graph("Softmax", graph("MatMul", query, keys), axis=-1)
    mixed = graph("Transpose", graph("MatMul", attending, values), perm=[0, 2, 1, 3])
    mixed = graph("Reshape", mixed, shape)
    output = weights[f"{name}.attn.proj.weight"].T
    value_bias = weights[f"{name}.attn.kv.bias"][channels:].astype(np.float64)
    bias = (value_bias @ output + weights[f"{name}.attn.proj.bias"]).astype(np.float32)
    mixed = graph("Add", graph("MatMul", mixed, graph.weight(output)), graph.weight(bias))
    return graph("Add", mixed, x)


def _reduced(graph: Graph, y: str, weights: Weights, name: str) -> str:
    if f"{name}.sr.weight" not in weights:
        return y
    kernel = weights[f"{name}.sr.weight"]
    y = convolution(
        graph, channels_first(graph, y), kernel, weights[f"{name}.sr.bias"], stride=kernel.shape[-1]
    )
    return layer_norm(graph, channels_last(graph, y), weights, f"{name}.norm", EMBEDDING_EPS)


def _by_head(graph: Graph, y: str, heads: int, channels: int, order: list[int]) -> str:
    """Return ``y`` [n, h, w, channels] as tokens [n, T, heads, d] with their axes in ``order``."""
    tokens = graph("Reshape", y, graph.constant([0, -1, heads, channels // heads]))
    return graph("Transpose", tokens, perm=order)
