"""The ONNX Runtime engine: the default, for it needs nothing but one small package."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from GDLACore.engine.base import SliceEngine, Work
from GDLACore.engine.confidence import confidence
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
# Where nobody tells how much memory is free, and laptops share it with the GPU.
_CAREFUL_GPU_BATCH = 4
# The intermediate results of the network at their largest, per pixel of a slice: 26 MB at 224 x 224
# on a CPU (measured); a GPU also needs room to choose convolutions.
_CPU_BYTES_PER_PIXEL = 600
_GPU_BYTES_PER_PIXEL = 1500
# Many cores must not fill the memory with large slices.
_CPU_BYTES = 2 << 30

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

    ``device`` is one of ``DEVICES``. ``threads`` is how many slices a CPU works on at a time, None
    for one on each physical core, as far as 2 GB of memory go: a core to itself costs a slice
    nothing for dividing small matrices among cores and for waiting until all have done their part.

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
        slice_bytes = _CPU_BYTES_PER_PIXEL * card.input_size**2
        self._threads = threads or max(1, min(physical_cores(), _CPU_BYTES // slice_bytes))
        self._model: bytes | Path | None = model
        self._open(model, device)

    def network_input(self, slices: np.ndarray) -> np.ndarray:
        """Return ``slices`` [n, c, h, w] as the network takes them, [n, c, s, s]."""
        return network_input(slices, self._plan(slices.shape[2:]), self.card)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Return the network's logits [n, classes, s, s].

        Raises EngineError where they are not finite: no label could be trusted.
        """
        logits = self.unchecked_logits(images)
        if not np.isfinite(logits).all():
            raise EngineError(
                f"The network's results on {self._device} are not finite numbers.",
                "The image's values may be far from what the model was taught; check them.",
            )
        return logits

    def unchecked_logits(self, images: np.ndarray) -> np.ndarray:
        """Return what ``logits`` does, whether or not it is finite."""
        session = self._opened()
        with self._turn:
            return session.run([OUTPUT], {INPUT: images})[0]

    def labels(self, logits: np.ndarray, shape: tuple[int, int], borders: str) -> np.ndarray:
        """Return labels [n, h, w] for ``shape`` (h, w) from ``logits``; see ``Engine.predict``."""
        plan, kind = self._plan(shape), label_type(self.card)
        if borders == "published":
            return np.stack([plan.labels_out(largest(one, kind)) for one in logits])
        return np.stack([enlarged_labels(one, plan, kind) for one in logits])

    def confidence(self, logits: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Return the confidence, float16 [n, h, w], of the labels for ``shape`` (h, w)."""
        plan = self._plan(shape)
        return np.stack([confidence(one, plan) for one in logits])

    @property
    def on_cpu(self) -> bool:
        """Return whether the CPU does the arithmetic."""
        return not self._gpu

    def describe(self) -> str:
        """Return the device in use in words, and why it is this one."""
        return f"{self._reason}: running on {self._device}" if self._reason else self._device

    def close(self) -> None:
        """Give the model's memory back; see ``Engine.close``."""
        self._pool.shutdown()
        self._session = self._model = None

    def _open(self, model: bytes | Path, device: str) -> None:
        opened = open_session(model, device=device, at_a_time=self._threads, probe=self._probe)
        self._session: onnxruntime.InferenceSession | None = opened.session
        self._turn: AbstractContextManager = nullcontext() if opened.concurrent else Lock()
        self._device, self._reason, self._gpu = opened.device, opened.reason, opened.on_gpu
        if self._gpu:
            workers = _GPU_BATCHES_AT_A_TIME
            self.batch_size = workers * self._gpu_batch(opened.provider)
        else:
            # One by one, no slice's labels can depend, by rounding, on which others came with it.
            workers = self.batch_size = self._threads
            self._model = None  # kept to go on with the CPU only
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

    def _gpu_batch(self, provider: str) -> int:
        if provider == "TensorrtExecutionProvider":
            return 1  # for every other number it would prepare itself anew, for minutes
        free = free_gpu_memory() if provider == "CUDAExecutionProvider" else None
        if free is None:
            return _CAREFUL_GPU_BATCH
        needed = _GPU_BATCHES_AT_A_TIME * _GPU_BYTES_PER_PIXEL * self.card.input_size**2
        return min(max(free // (2 * needed), 1), _LARGEST_GPU_BATCH)

    def _labels(self, slices: np.ndarray, borders: str) -> np.ndarray:
        def labels_of(group: np.ndarray) -> tuple[np.ndarray]:
            logits = self.logits(self.network_input(group))
            return (self.labels(logits, group.shape[2:], borders),)

        return self._in_groups(labels_of, slices)[0]

    def _labels_and_confidence(
        self, slices: np.ndarray, borders: str
    ) -> tuple[np.ndarray, np.ndarray]:
        def both_of(group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            logits, shape = self.logits(self.network_input(group)), group.shape[2:]
            return self.labels(logits, shape, borders), self.confidence(logits, shape)

        return self._in_groups(both_of, slices)

    def _scores(self, slices: np.ndarray) -> np.ndarray:
        return self._in_groups(lambda group: (self.logits(self.network_input(group)),), slices)[0]

    def _in_groups(self, work: Work, slices: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return ``work`` of all slices, done in groups that go through the network together."""
        self._opened()
        size = -(-len(slices) // _GPU_BATCHES_AT_A_TIME) if self._gpu else 1
        groups = [slices[start : start + size] for start in range(0, len(slices), size)]
        futures = [self._pool.submit(work, group) for group in groups]
        # All of them, even if one fails: while the others hold memory, trying again is no trial.
        wait(futures)
        # An error holds the frames that it has passed, and a future its error: the arrays of a
        # failed attempt would stay, in a circle, until long after the next.
        try:
            results = [futures.pop(0).result() for _ in groups]
            return tuple(np.concatenate(parts) for parts in zip(*results, strict=True))
        finally:
            futures.clear()

    def _opened(self) -> onnxruntime.InferenceSession:
        if self._session is None:
            raise EngineError("The model has been closed.", "Load it again.")
        return self._session

    def _plan(self, shape: tuple[int, int]) -> SliceResampling:
        return slice_resampling(self.card.resampling, tuple(shape), self.card.input_size)

    def _is_out_of_memory(self, error: Exception) -> bool:
        return isinstance(error, MemoryError) or any(m in str(error) for m in _MEMORY_MESSAGES)

    def _move_to_cpu(self, reason: str) -> None:
        model = self._model
        self.close()
        self._open(model, "cpu")
        self._reason = reason
