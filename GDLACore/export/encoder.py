"""The graph of PVTv2 (arXiv 2106.13797), rewritten to do less: every change is exact algebra."""

from __future__ import annotations

import numpy as np

from GDLACore.export.attention import BLOCK_EPS, EMBEDDING_EPS, attention
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


def encoder(graph: Graph, image: str, weights: Weights, in_channels: int) -> list[str]:
    """Add the encoder of ``image`` [n, in_channels, h, w]; return x1..x4, [n, h/s, w/s, c]."""
    features = []
    x = image
    for stage, heads in enumerate(HEADS):
        name = f"encoder.stages.{stage}"
        x = _embedding(graph, channels_first(graph, x) if stage else x, weights, stage, in_channels)
        shape = graph("Shape", x)
        for block in range(_depth(weights, name)):
            x = attention(graph, x, shape, weights, f"{name}.blocks.{block}", heads)
            x = _mlp(graph, x, weights, f"{name}.blocks.{block}")
        x = layer_norm(graph, x, weights, f"{name}.norm", BLOCK_EPS)
        features.append(x)
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
    return layer_norm(graph, channels_last(graph, x), weights, f"{name}.norm", EMBEDDING_EPS)


def _mlp(graph: Graph, x: str, weights: Weights, name: str) -> str:
    y = channels_first(graph, layer_norm(graph, x, weights, f"{name}.norm2", BLOCK_EPS))
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
