"""The graph of PVTv2 (arXiv 2106.13797), rewritten to do less: every change is exact algebra."""

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
)

HEADS = (1, 2, 5, 8)

_EPS = 1e-6  # of a block's and a stage's LayerNorm
_EMBEDDING_EPS = 1e-5  # of those that follow a convolution


def encoder(graph: Graph, image: str, weights: Weights, in_channels: int) -> list[str]:
    """Add the encoder of ``image`` [n, in_channels, h, w]; return x1..x4, [n, h/s, w/s, c]."""
    features = []
    x = image
    for stage, heads in enumerate(HEADS):
        name = f"encoder.stages.{stage}"
        x = _embedding(graph, x, weights, stage, in_channels)
        shape = graph("Shape", x)
        for block in range(_depth(weights, name)):
            x = _attention(graph, x, shape, weights, f"{name}.blocks.{block}", heads)
            x = _mlp(graph, x, weights, f"{name}.blocks.{block}")
        x = layer_norm(graph, x, weights, f"{name}.norm", _EPS)
        features.append(x)
        x = channels_first(graph, x)
    return features


def _depth(weights: Weights, stage: str) -> int:
    depth = 0
    while f"{stage}.blocks.{depth}.norm1.weight" in weights:
        depth += 1
    return depth


def _embedding(graph: Graph, x: str, weights: Weights, stage: int, in_channels: int) -> str:
    """Reduce ``x`` [n, c, h, w] by an overlapping convolution; return it with channels last."""
    name = f"encoder.stages.{stage}.downsample" if stage else "encoder.patch_embed"
    kernel = weights[f"{name}.proj.weight"]
    if not stage and in_channels == 1:  # three equal planes are as good as one
        kernel = kernel.sum(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    x = convolution(
        graph,
        x,
        kernel,
        weights[f"{name}.proj.bias"],
        stride=2 if stage else 4,
        padding=kernel.shape[-1] // 2,
    )
    return layer_norm(graph, channels_last(graph, x), weights, f"{name}.norm", _EMBEDDING_EPS)


def _mlp(graph: Graph, x: str, weights: Weights, name: str) -> str:
    y = channels_first(graph, layer_norm(graph, x, weights, f"{name}.norm2", _EPS))
    y = convolution(
        graph, y, pointwise(weights[f"{name}.mlp.fc1.weight"]), weights[f"{name}.mlp.fc1.bias"]
    )
    y = depthwise(
        graph, y, weights[f"{name}.mlp.dwconv.weight"], weights[f"{name}.mlp.dwconv.bias"]
    )
    y = graph("Gelu", y)
    y = convolution(
        graph, y, pointwise(weights[f"{name}.mlp.fc2.weight"]), weights[f"{name}.mlp.fc2.bias"]
    )
    return graph("Add", channels_last(graph, y), x)


def _attention(graph: Graph, x: str, shape: str, weights: Weights, name: str, heads: int) -> str:
    """Add softmax attention to the few tokens of the reduced image, residual included.

    With T such tokens, head by head: the query matrix meets the keys before it meets the image,
    ``(x Wq) k^T = x (Wq k^T)``, and the output matrix meets the values before the attention does,
    ``(P v) Wo = P (v Wo)``. So the large image takes part in two products instead of four, and no
    head of it is ever transposed. The keys' bias adds the same to every score of a token, which
    softmax does not see; the values' bias adds the same to every token, as rows of P sum to one.
    """
    channels = weights[f"{name}.norm1.weight"].size
    width = channels // heads
    # Normalised as tokens: where one tensor is both seen as tokens and transposed for a
    # convolution, OpenVINO 2026.4 convolves memory that it never wrote, if h and w are fixed.
    x = graph("Reshape", x, graph.constant([0, -1, channels]))
    tokens = layer_norm(graph, x, weights, f"{name}.norm1", _EPS)
    y = graph("Reshape", tokens, shape)
    reduced = _reduced(graph, y, weights, f"{name}.attn")

    query = _by_head(weights[f"{name}.attn.q.weight"].T, heads) * np.float32(width**-0.5)
    query_bias = weights[f"{name}.attn.q.bias"].reshape(heads, 1, width) * np.float32(width**-0.5)
    key_matrix, value_matrix = np.split(weights[f"{name}.attn.kv.weight"].T, 2, axis=1)
    output = weights[f"{name}.attn.proj.weight"].T
    value_bias = weights[f"{name}.attn.kv.bias"][channels:]
    bias = np.zeros((heads, 1, channels), np.float32)
    bias[0] = value_bias.astype(np.float64) @ output + weights[f"{name}.attn.proj.bias"]

    keys = _split_heads(graph, reduced, key_matrix, heads, [0, 2, 3, 1])
    scoring = graph("Transpose", graph("MatMul", graph.weight(query), keys), perm=[0, 2, 1, 3])
    scoring = graph("Reshape", scoring, graph.constant([0, 0, -1]))
    offset = graph("MatMul", graph.weight(query_bias), keys)
    offset = graph("Reshape", offset, graph.constant([0, 1, -1]))
    scores = graph("Add", graph("MatMul", tokens, scoring), offset)
    scores = graph("Reshape", scores, graph.constant([0, 0, heads, -1]))
    attention = graph("Softmax", scores, axis=-1)
    attention = graph("Reshape", attention, graph.constant([0, 0, -1]))

    values = _split_heads(graph, reduced, value_matrix, heads, [0, 2, 1, 3])
    values = graph("MatMul", values, graph.weight(output.reshape(heads, width, channels)))
    values = graph("Add", values, graph.weight(bias))
    values = graph("Reshape", values, graph.constant([0, -1, channels]))
    return graph("Reshape", graph("Add", graph("MatMul", attention, values), x), shape)


def _reduced(graph: Graph, y: str, weights: Weights, name: str) -> str:
    if f"{name}.sr.weight" not in weights:
        return y
    kernel = weights[f"{name}.sr.weight"]
    y = convolution(
        graph, channels_first(graph, y), kernel, weights[f"{name}.sr.bias"], stride=kernel.shape[-1]
    )
    return layer_norm(graph, channels_last(graph, y), weights, f"{name}.norm", _EMBEDDING_EPS)


def _by_head(matrix: np.ndarray, heads: int) -> np.ndarray:
    """Return ``matrix`` [c, heads * d] as [heads, c, d]."""
    return matrix.reshape(len(matrix), heads, -1).transpose(1, 0, 2)


def _split_heads(graph: Graph, y: str, matrix: np.ndarray, heads: int, order: list[int]) -> str:
    """Return ``y @ matrix``, [n, T, heads, d], with its axes in ``order``."""
    product = graph("MatMul", y, graph.weight(matrix))
    width = matrix.shape[1] // heads
    product = graph("Reshape", product, graph.constant([0, -1, heads, width]))
    return graph("Transpose", product, perm=order)
