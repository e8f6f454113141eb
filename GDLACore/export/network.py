"""The graph of the whole network."""

from __future__ import annotations

import numpy as np

from GDLACore.export.decoder import decoder_stage
from GDLACore.export.encoder import encoder
from GDLACore.export.graph import Graph
from GDLACore.export.layers import Weights, channels_first, convolution
from GDLACore.model.card import ModelCard

_BATCH_NORM_EPS = 1e-5


def network(graph: Graph, image: str, weights: Weights, card: ModelCard) -> str:
    """Add the network of ``card``; return the logits [n, classes, h, w] of ``image``.

    ``image`` [n, in_channels, h, w] and the logits are float32 whatever the graph's type of number.
    """
    image = graph.own(image)
    mixer = card.architecture.mixer
    x1, x2, x3, x4 = encoder(graph, image, weights, card.in_channels)
    d3 = decoder_stage(graph, x4, x3, weights, 0, mixer)
    d2 = decoder_stage(graph, d3, x2, weights, 1, mixer)
    d1 = decoder_stage(graph, d2, x1, weights, 2, mixer)
    # A 1 x 1 convolution commutes with bilinear enlarging, and is 16 times cheaper before it.
    head = weights["head.weight"]
    coarse = graph.single(convolution(graph, channels_first(graph, d1), head))
    scales = graph.constant(np.array([1, 1, 4, 4], np.float32))
    coarse = graph("Resize", coarse, "", scales, mode="linear")
    fine = convolution(graph, _stem(graph, image, weights), head, weights["head.bias"])
    return graph("Add", coarse, graph.single(fine))


def _stem(graph: Graph, image: str, weights: Weights) -> str:
    """Add the full-resolution path, its 1 x 1 shortcut written into the 3 x 3 convolution."""
    first, first_bias = _folded(weights, 1)
    second, second_bias = _folded(weights, 2)
    shortcut, shortcut_bias = _folded(weights, 3)
    y = graph("Relu", convolution(graph, image, first, first_bias, padding=1))
    both = np.concatenate([second, np.pad(shortcut, ((0, 0), (0, 0), (1, 1), (1, 1)))], axis=1)
    y = graph("Concat", y, image, axis=1)
    return graph("Relu", convolution(graph, y, both, second_bias + shortcut_bias, padding=1))


def _folded(weights: Weights, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel and bias of a convolution of the stem with its batch normalisation."""
    norm = {
        part: weights[f"stem.norm{number}.{part}"].astype(np.float64)
        for part in ("weight", "bias", "running_mean", "running_var")
    }
    scale = norm["weight"] / np.sqrt(norm["running_var"] + _BATCH_NORM_EPS)
    kernel = weights[f"stem.conv{number}.weight"] * scale[:, None, None, None]
    bias = norm["bias"] - norm["running_mean"] * scale
    return kernel.astype(np.float32), bias.astype(np.float32)
