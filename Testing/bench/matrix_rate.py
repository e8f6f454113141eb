"""How fast this machine multiplies float32 matrices, by the libraries that can."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime
import torch

from GDLACore.export.graph import Graph

# Rows, inner side, columns: squares, and the largest products of the network at 224 x 224.
SHAPES = (
    (512, 512, 512),
    (1024, 1024, 1024),
    (2048, 2048, 2048),
    (196, 1280, 1280),
    (784, 512, 512),
    (3136, 256, 256),
)


def products(threads: int) -> dict[str, tuple[int, Callable[[], object]]]:
    """Return, for each library and shape, the multiply-adds of a product and a call that makes it.

    The results are written where the last were, as far as the library lets them.
    """
    torch.set_num_threads(threads)
    random = np.random.default_rng(0)
    found: dict[str, tuple[int, Callable[[], object]]] = {}
    for rows, inner, columns in SHAPES:
        a = random.standard_normal((rows, inner), np.float32)
        b = random.standard_normal((inner, columns), np.float32)
        for library, make in (("numpy", _numpy), ("torch", _torch), ("onnxruntime", _onnxruntime)):
            found[f"{library} {rows} x {inner} x {columns}"] = (
                rows * inner * columns,
                make(a, b, threads),
            )
    return found


def _numpy(a: np.ndarray, b: np.ndarray, _threads: int) -> Callable[[], object]:
    result = np.empty((len(a), b.shape[1]), np.float32)
    return lambda: np.matmul(a, b, out=result)


def _torch(a: np.ndarray, b: np.ndarray, _threads: int) -> Callable[[], object]:
    left, right = torch.from_numpy(a), torch.from_numpy(b)
    result = torch.empty(len(a), b.shape[1])
    return lambda: torch.mm(left, right, out=result)


def _onnxruntime(a: np.ndarray, b: np.ndarray, threads: int) -> Callable[[], object]:
    """Multiply with a constant, as the network does: it is packed once."""
    graph = Graph("product")
    product = graph("MatMul", graph.input("a", a.shape), graph.constant(b))
    graph.output(product, "product", (len(a), b.shape[1]))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        graph.to_bytes({}), options, providers=["CPUExecutionProvider"]
    )
    binding = session.io_binding()
    binding.bind_cpu_input("a", a)
    binding.bind_output("product")
    return lambda: session.run_with_iobinding(binding)
