"""The PyTorch engine: resize, network and resize back on one device."""

from __future__ import annotations

import logging

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from GDLACore.engine.base import SliceEngine
from GDLACore.engine.protocol import label_type
from GDLACore.engine.refusal import error_in_words
from GDLACore.errors import DeviceError, EngineError
from GDLACore.imaging.slice_resampling import SliceResampling, slice_resampling
from GDLACore.model.card import ModelCard

_log = logging.getLogger(__name__)

_MINMAX_EPS = 1e-8  # as in GDLACore.imaging.intensity.minmax_images
_GPU_BATCH = 32

# Only some of PyTorch's out-of-memory errors have a type of their own.
_MEMORY_MESSAGES = (
    "out of memory",  # the driver, while another program holds the GPU
    "ALLOC_FAILED",  # cuBLAS and cuDNN
    "DefaultCPUAllocator",
    "bad_alloc",  # oneDNN
)


class TorchEngine(SliceEngine):
    """A PyTorch network with its card on a CPU or a CUDA GPU; see ``Engine``.

    ``network`` maps float32 [n, c, s, s] to logits [n, classes, s, s]; the engine takes it over.
    ``threads`` are those of the CPU, None for as many as PyTorch finds best.
    Raises DeviceError if ``device`` ("auto", "cpu" or "cuda") is not to be had, EngineError if
    the network cannot be brought to it.

    ``predict`` is ``network_input``, ``logits`` and ``labels`` one after the other.
    """

    def __init__(
        self,
        network: nn.Module,
        card: ModelCard,
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        super().__init__(card)
        if threads is not None:
            torch.set_num_threads(threads)
        self._device, self._reason = _resolve(device)
        if self._device.type == "cuda":
            # PyTorch's default would round what enters convolutions to ten bits.
            torch.backends.cudnn.allow_tf32 = False
        self._network: nn.Module | None = network.eval()
        try:
            self._network.to(self._device, memory_format=torch.channels_last)
        except RuntimeError as error:
            if self.on_cpu or not self._is_out_of_memory(error):
                raise EngineError(
                    f"PyTorch cannot load the network: {error_in_words(error)}.",
                    "Close other programs and try again." if self.on_cpu else "Try the device cpu.",
                ) from error
            _log.warning("The GPU has too little memory for the network: going on with the CPU.")
            self._move_to_cpu("the GPU has too little memory")
        # A CPU gains nothing from several slices at a time. One at a time, no slice's labels can
        # depend, by rounding, on which others came with it.
        self.batch_size = 1 if self._device.type == "cpu" else _GPU_BATCH

    @torch.inference_mode()
    def network_input(self, slices: np.ndarray) -> Tensor:
        """Return ``slices`` [n, c, h, w] as the network takes them, [n, c, s, s], on the device."""
        plan = self._plan(slices.shape[2:])
        # A copy: PyTorch aligns its own memory, and only then are equal slices sure to give equal
        # sums, whatever array they come from.
        images = torch.tensor(np.ascontiguousarray(slices), device=self._device)
        rows, columns = (torch.tensor(m, device=self._device) for m in (plan.rows, plan.columns))
        images = rows @ images @ columns.T
        if self.card.intensity.kind == "minmax_image":
            images = _minmax_images(images)
        return images.contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """Return the network's logits [n, classes, s, s] in float32.

        Raises EngineError where they are not finite: no label could be trusted.
        """
        if self._network is None:
            raise EngineError("The model has been closed.", "Load it again.")
        logits = self._network(images).float()
        if not torch.isfinite(logits).all():
            raise EngineError(
                f"The network's results on {self._device_name()} are not finite numbers.",
                "The image's values may be far from what the model was taught; check them.",
            )
        return logits

    @torch.inference_mode()
    def labels(self, logits: Tensor, shape: tuple[int, int], borders: str) -> np.ndarray:
        """Return labels [n, h, w] for ``shape`` (h, w) from ``logits``; see ``Engine.predict``."""
        plan = self._plan(shape)
        if borders == "published":
            return plan.labels_out(self._largest(logits))
        # One by one: at full size the logits of many classes are the largest thing there is.
        return np.concatenate([self._largest(_enlarged(one, plan)) for one in logits.split(1)])

    @torch.inference_mode()
    def confidence(self, logits: Tensor, shape: tuple[int, int]) -> np.ndarray:
        """Return the confidence, float16 [n, h, w], of the labels for ``shape`` (h, w).

        See ``GDLACore.engine.confidence``.
        """
        probable = logits.softmax(dim=1).topk(2, dim=1).values
        margin = probable[:, :1] - probable[:, 1:]
        return _enlarged(margin, self._plan(shape))[:, 0].half().cpu().numpy()

    @property
    def on_cpu(self) -> bool:
        """Return whether the CPU does the arithmetic."""
        return self._device.type == "cpu"

    def describe(self) -> str:
        """Return the device in use in words, and why it is this one."""
        name = self._device_name()
        return f"{self._reason}: running on {name}" if self._reason else name

    def close(self) -> None:
        """Give the model's memory back; see ``Engine.close``."""
        self._network = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _labels(self, slices: np.ndarray, borders: str) -> np.ndarray:
        return self.labels(self.logits(self.network_input(slices)), slices.shape[2:], borders)

    def _labels_and_confidence(
        self, slices: np.ndarray, borders: str
    ) -> tuple[np.ndarray, np.ndarray]:
        logits, shape = self.logits(self.network_input(slices)), slices.shape[2:]
        return self.labels(logits, shape, borders), self.confidence(logits, shape)

    def _scores(self, slices: np.ndarray) -> np.ndarray:
        return self.logits(self.network_input(slices)).cpu().numpy()

    def _device_name(self) -> str:
        if self._device.type == "cuda":
            return f"GPU ({torch.cuda.get_device_name(self._device)})"
        threads = torch.get_num_threads()
        return f"CPU ({threads} thread{'s' if threads != 1 else ''})"

    def _plan(self, shape: tuple[int, int]) -> SliceResampling:
        return slice_resampling(self.card.resampling, tuple(shape), self.card.input_size)

    def _largest(self, logits: Tensor) -> np.ndarray:
        """Return the class of the largest logit, [n, h, w]."""
        labels = logits.max(dim=1).indices  # five times as fast as argmax on a CPU
        return labels.to(getattr(torch, np.dtype(label_type(self.card)).name)).cpu().numpy()

    def _is_out_of_memory(self, error: Exception) -> bool:
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
            return True
        return any(message in str(error) for message in _MEMORY_MESSAGES)

    def _move_to_cpu(self, reason: str) -> None:
        self._device, self._reason = torch.device("cpu"), reason
        self._network.to(self._device)
        self.batch_size = 1
        torch.cuda.empty_cache()

    def _use_less_memory(self, failed: tuple[int, ...]) -> None:
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        super()._use_less_memory(failed)


def _resolve(device: str) -> tuple[torch.device, str]:
    """Return the device, and why it is not the one that was wanted."""
    if device == "cpu":
        return torch.device("cpu"), ""
    if device not in ("auto", "cuda"):
        raise DeviceError(f"PyTorch cannot use the device {device!r}.", "Choose auto, cpu or cuda.")
    if torch.cuda.is_available():
        return torch.device("cuda"), ""
    if device == "auto":
        why = "no CUDA GPU found" if torch.version.cuda else "this PyTorch is without CUDA"
        return torch.device("cpu"), why
    if torch.version.cuda is None:
        raise DeviceError(
            "The installed PyTorch is built without CUDA.", "Choose the device cpu or auto."
        )
    _log.warning("CUDA asked for, no GPU found: running on the CPU.")
    return torch.device("cpu"), "CUDA asked for, no GPU found"


def _minmax_images(images: Tensor) -> Tensor:
    low = images.amin(dim=(1, 2, 3), keepdim=True)
    extent = images.amax(dim=(1, 2, 3), keepdim=True) - low
    return (images - low) / (extent + _MINMAX_EPS)


def _enlarged(logits: Tensor, plan: SliceResampling) -> Tensor:
    """Return ``logits`` [n, c, s, s] as [n, c, h, w], linearly, on the grid of ``plan``."""
    if plan.corners_aligned:
        return F.interpolate(logits, plan.shape, mode="bilinear", align_corners=True)
    # Where every side grows the filter changes nothing but takes more than twice the time.
    reduced = min(plan.shape) < plan.size
    return F.interpolate(logits, plan.shape, mode="bilinear", antialias=reduced)
