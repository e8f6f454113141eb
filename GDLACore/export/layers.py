"""The few layers of which both halves of the network are made, on images [n, h, w, c].

Images between layers have their channels last, where LayerNorm and matrix products find them; a
convolution takes them first. ONNX Runtime does the two transpositions around a convolution in the
same pass that brings the data into the blocked layout which its convolutions use anyway, and keeps
that layout through chains of convolutions and activations.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from GDLACore.export.graph import Graph

Weights = Mapping[str, np.ndarray]


def channels_first(graph: Graph, x: str) -> str:
    """Return ``x`` [n, h, w, c] as [n, c, h, w]."""
    return graph("Transpose", x, perm=[0, 3, 1, 2])


def channels_last(graph: Graph, x: str) -> str:
    """Return ``x`` [n, c, h, w] as [n, h, w, c]."""
    return graph("Transpose", x, perm=[0, 2, 3, 1])


def layer_norm(graph: Graph, x: str, weights: Weights, name: str, epsilon: float) -> str:
    """Normalise the last axis of ``x``."""
    scale, shift = (graph.weight(weights[f"{name}.{part}"]) for part in ("weight", "bias"))
    return graph("LayerNormalization", x, scale, shift, axis=-1, epsilon=epsilon)


def convolution(
    graph: Graph,
    x: str,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: int = 1,
    padding: int = 0,
    groups: int = 1,
) -> str:
    """Convolve ``x`` [n, c, h, w] with ``weight`` [out, c / groups, rows, columns]."""
    constants = [graph.weight(array) for array in (weight, bias) if array is not None]
    return graph(
        "Conv",
        x,
        *constants,
        kernel_shape=list(weight.shape[2:]),
        strides=[stride, stride],
        pads=[padding] * 4,
        group=groups,
    )


def depthwise(graph: Graph, x: str, weight: np.ndarray, bias: np.ndarray) -> str:
    """Convolve every channel of ``x`` with its own kernel of 3 x 3, ``weight`` [c, 1, 3, 3]."""
    return convolution(graph, x, weight, bias, padding=1, groups=len(weight))


def silu(graph: Graph, x: str) -> str:
    """Return ``x * sigmoid(x)``."""
    return graph("Mul", x, graph("Sigmoid", x))


def pointwise(matrix: np.ndarray) -> np.ndarray:
    """Return a linear layer's ``matrix`` [out, in] as the kernel of a 1 x 1 convolution."""
    return matrix.reshape(*matrix.shape[:2], 1, 1)
