"""From slices at their own size to the network's input, in ONNX Runtime.

numpy would do the same two products, but with threads of its own, which go on spinning where the
network's are to work.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from GDLACore.engine.runtime import onnx_runtime
from GDLACore.export.graph import Graph
from GDLACore.imaging.intensity import minmax_images
from GDLACore.imaging.slice_resampling import SliceResampling
from GDLACore.model.card import ModelCard

if TYPE_CHECKING:
    import onnxruntime


def network_input(slices: np.ndarray, plan: SliceResampling, card: ModelCard) -> np.ndarray:
    """Return ``slices`` [n, c, h, w], float32, as [n, c, s, s]: resampled, then scaled if need be.

    May be called from several threads at a time.
    """
    feed = {"slices": slices, "rows": plan.rows, "columns": _transposed(plan)}
    images = _session().run(None, feed)[0]
    return minmax_images(images) if card.intensity.kind == "minmax_image" else images


@lru_cache(maxsize=1)
def _session() -> onnxruntime.InferenceSession:
    graph = Graph("resampling")
    slices = graph.input("slices", ["n", "c", "h", "w"])
    rows = graph.input("rows", ["s", "h"])
    columns = graph.input("columns", ["w", "s"])
    images = graph("MatMul", rows, graph("MatMul", slices, columns))
    graph.output(images, "images", ["n", "c", "s", "s"])
    runtime = onnx_runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    return runtime.InferenceSession(graph.to_bytes({}), options, providers=["CPUExecutionProvider"])


@lru_cache(maxsize=32)
def _transposed(plan: SliceResampling) -> np.ndarray:
    return np.ascontiguousarray(plan.columns.T)
