"""Networks that are quick at any size, slices to show them, and GPUs that are not there.

They are written without the ``onnx`` package and run without PyTorch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from scipy import ndimage

from GDLACore.engine.onnx_engine import OnnxEngine
from GDLACore.engine.providers import OpenedSession, Probe, open_session
from GDLACore.export.graph import Graph
from GDLACore.imaging.intensity import minmax_images
from GDLACore.model.card import ModelCard

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
DIRECTML = "DmlExecutionProvider"
OPENVINO = "OpenVINOExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"

# As ONNX Runtime and the drivers beneath it say it.
NO_MEMORY = [
    RuntimeError(
        "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running "
        "Conv node. Status Message: bfc_arena.cc:376 AllocateRawInternal Failed to allocate memory "
        "for requested buffer of size 939524096"
    ),
    RuntimeError("CUDA failure 2: out of memory ; GPU=0 ; hostname=x ; expr=cudaMalloc(...)"),
    RuntimeError("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0"),
    RuntimeError("Exception(3) 8007000E Not enough memory resources are available to complete"),
    RuntimeError("[ONNXRuntimeError] : 1 : FAIL : bad allocation"),
    RuntimeError("std::bad_alloc"),
    MemoryError(),
]


def slices(n: int, height: int, width: int, channels: int = 1, seed: int = 5) -> np.ndarray:
    """Return blurred noise in [0, 1]: pictures with places in them."""
    noise = np.random.default_rng(seed).normal(size=(n, channels, height, width))
    smooth = ndimage.gaussian_filter(noise, (0, 0, height / 12, width / 12))
    return minmax_images(smooth.astype(np.float32))


def make_onnx(card: ModelCard, add_network: Callable[[Graph, str], str]) -> bytes:
    """Return the ONNX file whose logits are ``add_network(graph, image)``."""
    graph = Graph("small")
    image = graph.input("image", ["n", card.in_channels, "h", "w"])
    graph.output(add_network(graph, image), "logits", ["n", card.classes, "h", "w"])
    return graph.to_bytes({})


def kernel(card: ModelCard, seed: int = 0) -> np.ndarray:
    """Return the weights [classes, in_channels, 3, 3] of ``convolution``."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(card.classes, card.in_channels, 3, 3)).astype(np.float32)


def convolution(card: ModelCard, seed: int = 0) -> bytes:
    """Return a network that shows neighbours of a pixel, from which 0.5 is taken, to ``kernel``."""

    def network(graph: Graph, image: str) -> str:
        image = graph("Sub", image, graph.constant(np.float32(0.5)))
        return graph("Conv", image, graph.constant(kernel(card, seed)), pads=[1, 1, 1, 1])

    return make_onnx(card, network)


def constant(card: ModelCard, logits: np.ndarray) -> bytes:
    """Return a network that gives ``logits`` [classes, s, s] whatever it is shown."""

    def network(graph: Graph, image: str) -> str:
        nothing = graph("Mul", image, graph.constant(np.float32(0)))
        nothing = graph("ReduceMean", nothing, graph.constant([1, 2, 3]))
        return graph("Add", nothing, graph.constant(logits[None]))

    return make_onnx(card, network)


def exploding(card: ModelCard) -> bytes:
    """Return a network whose logits are infinite for images brighter than they can be."""

    def network(graph: Graph, image: str) -> str:
        large = graph("Exp", graph("Mul", image, graph.constant(np.float32(50))))
        return graph("Conv", large, graph.constant(kernel(card)), pads=[1, 1, 1, 1])

    return make_onnx(card, network)


class LimitedSession:
    """Runs ``convolution(card)``, as if memory held no more than ``most`` slices at a time.

    It is strict: what the network's input is not, it refuses.
    """

    def __init__(self, card: ModelCard, most: int, error: Exception) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(convolution(card), options, [CPU])
        self.card, self.most, self._error = card, most, error
        self.asked: list[int] = []

    def run(self, names: list[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        assert names == ["logits"] and list(feed) == ["image"]
        image, side = feed["image"], self.card.input_size
        assert image.dtype == np.float32 and image.ndim == 4 and len(image)
        assert image.shape[1:] == (self.card.in_channels, side, side)
        self.asked.append(len(image))
        if len(image) > self.most:
            raise self._error
        return self._session.run(names, feed)


class Processors:
    """A stand-in for ``open_session`` of a computer on which ``provider`` is the fastest.

    ``session`` is that provider's; the CPU behind it is the real one. ``opened`` are the devices
    that were asked for.
    """

    def __init__(self, session: LimitedSession, provider: str) -> None:
        self._session, self._provider = session, provider
        self.opened: list[str] = []

    def __call__(
        self, model: bytes | Path, *, device: str, at_a_time: int, probe: Probe
    ) -> OpenedSession:
        assert isinstance(model, (bytes, Path)) and at_a_time >= 1
        self.opened.append(device)
        if device == "cpu" and self._provider != CPU:
            return open_session(model, device="cpu", at_a_time=at_a_time, probe=probe)
        title = {CPU: f"CPU ({at_a_time} threads)", OPENVINO: "CPU (OpenVINO)"}
        device = title.get(self._provider, "GPU (test)")
        on_gpu = self._provider not in title
        opened = OpenedSession(self._session, self._provider, device, on_gpu, "")
        assert np.isfinite(probe(opened.session)).all()
        return opened


def engine_on(
    provider: str, session: LimitedSession, monkeypatch: pytest.MonkeyPatch, threads: int = 2
) -> tuple[OnnxEngine, Processors]:
    """Return an engine that runs ``session``, and the processors of its computer."""
    processors = Processors(session, provider)
    monkeypatch.setattr("GDLACore.engine.onnx_engine.open_session", processors)
    device = "cpu" if provider == CPU else "auto"
    engine = OnnxEngine(convolution(session.card), session.card, device, threads)
    session.asked.clear()  # the probe
    return engine, processors


class MeetingSession(LimitedSession):
    """Notices when a second thread comes in while a first is at work.

    ``patience_s`` is how long the first waits for it.
    """

    patience_s = 0.1

    def __init__(self, card: ModelCard) -> None:
        super().__init__(card, 99, AssertionError())
        self._both = threading.Barrier(2)
        self.met = False

    def run(self, names: list[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        try:
            self._both.wait(self.patience_s)
            self.met = True
        except threading.BrokenBarrierError:
            self._both.reset()
        return super().run(names, feed)
