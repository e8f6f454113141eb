"""The ONNX Runtime engine: the default, for it needs nothing but one small package."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from GDLACore.engine.base import SliceEngine, Work
from GDLACore.engine.gpu_memory import free_gpu_memory
from GDLACore.engine.label_maps import enlarged_labels, largest
from GDLACore.engine.processors import physical_cores
from GDLACore.engine.protocol import label_type
from GDLACore.engine.providers import open_session
from GDLACore.engine.slice_input import network_input
from GDLACore.errors import EngineError
from GDLACore.imaging.slice_resampling import SliceResampling, slice_resampling
from GDLACore.model.card import ModelCard
from GDLACore.model.onnx_graph import INPUT, OUTPUT

if TYPE_CHECKING:
    import onnxruntime

# While one batch is on the GPU, the next is resampled and the one before is labelled.
_GPU_BATCHES_AT_A_TIME = 3
_LARGEST_GPU_BATCH = 32
# The intermediate results of the network at their largest, per pixel of a slice.
_BYTES_PER_PIXEL = 1500

_MEMORY_MESSAGES = (
    "out of memory",  # CUDA
    "Failed to allocate",  # ONNX Runtime's own arena
    "ALLOC_FAILED",  # cuBLAS and cuDNN
    "8007000E",  # DirectML
    "bad allocation",  # Windows
    "bad_alloc",
)


class OnnxEngine(SliceEngine):
    """An ONNX model, a file or its bytes, with its card, on the device found best; see ``Engine``.

    ``device`` is one of ``providers.DEVICES``. ``threads`` is how many slices a CPU works on at a
    time, None for one on each physical core: a core to itself costs a slice nothing for dividing
    small matrices among cores and for waiting until all have done their part.

    Raises DeviceError if ``device`` is not to be had, EngineError if the model cannot be run.
    """

    def __init__(
        self,
        model: bytes | Path,
        card: ModelCard,
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        super().__init__(card)
        self._model = model
        self._threads = threads or physical_cores()
        self._open(device)

    def network_input(self, slices: np.ndarray) -> np.ndarray:
        """Return ``slices`` [n, c, h, w] as the network takes them, [n, c, s, s]."""
        return network_input(slices, self._plan(slices.shape[2:]), self.card)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Return the network's logits [n, classes, s, s].

        Raises EngineError where they are not finite: no label could be trusted.
        """
        with self._turn:
            logits = self._session.run([OUTPUT], {INPUT: images})[0]
        if not np.isfinite(logits).all():
            raise EngineError(
                f"The network's results on {self._device} are not finite numbers.",
                "The image's values may be far from what the model was taught; check them.",
            )
        return logits

    def labels(self, logits: np.ndarray, shape: tuple[int, int], borders: str) -> np.ndarray:
        """Return labels [n, h, w] for ``shape`` (h, w) from ``logits``; see ``Engine.predict``."""
        plan, kind = self._plan(shape), label_type(self.card)
        if borders == "published":
            return np.stack([plan.labels_out(largest(one, kind)) for one in logits])
        return np.stack([enlarged_labels(one, plan, kind) for one in logits])

    def describe(self) -> str:
        """Return the device in use in words, and why it is this one."""
        return f"{self._reason}: running on {self._device}" if self._reason else self._device

    def close(self) -> None:
        """Give the model's memory back; see ``Engine.close``."""
        self._pool.shutdown()
        self._session = None

    def _open(self, device: str) -> None:
        opened = open_session(
            self._model, device=device, threads=1, at_a_time=self._threads, probe=self._probe
        )
        self._session: onnxruntime.InferenceSession | None = opened.session
        self._turn: AbstractContextManager = nullcontext() if opened.concurrent else Lock()
        self._reason, self._gpu = opened.reason, opened.on_gpu
        if self._gpu:
            self._device, workers = opened.device, _GPU_BATCHES_AT_A_TIME
            self.batch_size = workers * self._gpu_batch()
        else:
            workers = self._threads
            self._device = opened.device.replace("1 thread", _counted(workers, "thread"))
            # One by one, no slice's labels can depend, by rounding, on which others came with it.
            self.batch_size = workers
        self._pool = ThreadPoolExecutor(workers, "gdla-slices")

    def _probe(self, session: onnxruntime.InferenceSession) -> np.ndarray:
        """Return the logits of a slice of all grey values from black to white."""
        side = self.card.input_size
        grey = np.linspace(0.0, 1.0, self.card.in_channels * side * side, dtype=np.float32)
        image = grey.reshape(1, self.card.in_channels, side, side)
        logits = session.run([OUTPUT], {INPUT: image})[0]
        if logits.shape != (1, self.card.classes, side, side):
            raise EngineError(
                f"The network gives {' x '.join(map(str, logits.shape[1:]))} results for an image "
                f"of {side} x {side} instead of {self.card.classes} x {side} x {side}.",
                "Export the model again with `gdla export`.",
            )
        return logits

    def _gpu_batch(self) -> int:
        free = free_gpu_memory()
        if free is None:
            return _LARGEST_GPU_BATCH
        needed = _GPU_BATCHES_AT_A_TIME * _BYTES_PER_PIXEL * self.card.input_size**2
        return min(max(free // (2 * needed), 1), _LARGEST_GPU_BATCH)

    def _labels(self, slices: np.ndarray, borders: str) -> np.ndarray:
        def labels_of(group: np.ndarray) -> np.ndarray:
            return self.labels(self.logits(self.network_input(group)), group.shape[2:], borders)

        return self._in_groups(labels_of, slices)

    def _scores(self, slices: np.ndarray) -> np.ndarray:
        return self._in_groups(lambda group: self.logits(self.network_input(group)), slices)

    def _in_groups(self, work: Work, slices: np.ndarray) -> np.ndarray:
        """Return ``work`` of all slices, done in groups that go through the network together."""
        if self._session is None:
            raise EngineError("The model has been closed.", "Load it again.")
        size = -(-len(slices) // _GPU_BATCHES_AT_A_TIME) if self._gpu else 1
        groups = (slices[start : start + size] for start in range(0, len(slices), size))
        futures = [self._pool.submit(work, group) for group in groups]
        # All of them, even if one fails: while the others hold memory, trying again is no trial.
        wait(futures)
        return np.concatenate([future.result() for future in futures])

    def _plan(self, shape: tuple[int, int]) -> SliceResampling:
        return slice_resampling(self.card.resampling, tuple(shape), self.card.input_size)

    def _is_out_of_memory(self, error: Exception) -> bool:
        return isinstance(error, MemoryError) or any(m in str(error) for m in _MEMORY_MESSAGES)

    def _on_cpu(self) -> bool:
        return not self._gpu

    def _move_to_cpu(self, reason: str) -> None:
        self.close()
        self._open("cpu")
        self._reason = reason


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' if number != 1 else ''}"
