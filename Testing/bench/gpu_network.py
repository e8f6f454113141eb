"""The network on a device in every precision and way of running it that might pay."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from dataclasses import dataclass

import torch
from gpu_floor import median_seconds
from torch import Tensor, nn

# What the weights are stored as.
PRECISIONS = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}
EAGER, GRAPH, COMPILED = "eager", "CUDA graph", "compiled"

_GRAPH_WARM_UPS = 3


@dataclass(frozen=True)
class Timing:
    """How long a slice takes in a precision and a way of running, so many slices at a time."""

    precision: str
    way: str
    batch: int
    seconds_per_slice: float


def in_precision(network: nn.Module, precision: str, device: str) -> nn.Module:
    """Return a copy of ``network`` on ``device``, for inference."""
    result = copy.deepcopy(network).eval()
    return result.to(device, PRECISIONS[precision], memory_format=torch.channels_last)


def allow_rounding(products: bool, convolutions: bool) -> None:
    """Say whether float32 may be rounded to TF32 where it is multiplied. For the whole process."""
    torch.set_float32_matmul_precision("high" if products else "highest")
    torch.backends.cudnn.allow_tf32 = convolutions


def use_precision(precision: str) -> None:
    """Have everything that follows computed as ``precision`` says, where it is float32."""
    allow_rounding(products=precision == "tf32", convolutions=precision == "tf32")


def use_pytorch_defaults() -> None:
    """Round as PyTorch does unless told otherwise: in convolutions only."""
    allow_rounding(products=False, convolutions=True)


def image(network: nn.Module, batch: int, channels: int, size: int) -> Tensor:
    """Return images at random, [batch, channels, size, size], as ``network`` takes them."""
    weight = next(network.parameters())
    images = torch.rand(batch, channels, size, size, device=weight.device).to(weight.dtype)
    return images.contiguous(memory_format=torch.channels_last)


def ways(device: str) -> tuple[str, ...]:
    """Return the ways of running that ``device`` knows, but for compiling."""
    return (EAGER, GRAPH) if device == "cuda" else (EAGER,)


def runner(network: nn.Module, way: str, images: Tensor) -> Callable[[Tensor], Tensor]:
    """Return what runs ``network`` on images like ``images``, ready."""
    if way == GRAPH:
        return _graph(network, images)
    if way == COMPILED:
        network = compiled(network, images)
    return network


def compiled(network: nn.Module, images: Tensor) -> nn.Module:
    """Return ``network`` compiled for images like ``images``; takes minutes on a GPU.

    On a CPU only the tracing is tried: what it gives to compile is run as it is.
    """
    backend = "inductor" if images.is_cuda else "aot_eager"
    result = torch.compile(network, backend=backend, dynamic=False)
    result(images)
    return result


def sweep(
    network: nn.Module, device: str, channels: int, size: int, batches: tuple[int, ...]
) -> list[Timing]:
    """Return the times of every precision, way and number of slices that fits into memory.

    The compiled network is tried at the best number of slices alone.
    """
    timings = []
    for precision in PRECISIONS:
        use_precision(precision)
        own = in_precision(network, precision, device)
        of_precision = []
        for way in ways(device):
            for batch in batches:
                try:
                    images = image(own, batch, channels, size)
                    of_precision.append(_timing(own, precision, way, images))
                except torch.OutOfMemoryError:
                    print(f"no memory for {precision}, {way}, {batch}", file=sys.stderr)
        best = min(of_precision, key=lambda timing: timing.seconds_per_slice)
        images = image(own, best.batch, channels, size)
        timings += [*of_precision, _timing(own, precision, COMPILED, images)]
    return timings


def _timing(network: nn.Module, precision: str, way: str, images: Tensor) -> Timing:
    with torch.inference_mode():
        run = runner(network, way, images)
        seconds = median_seconds(images.device.type, lambda: run(images))
    return Timing(precision, way, len(images), seconds / len(images))


def _graph(network: nn.Module, images: Tensor) -> Callable[[Tensor], Tensor]:
    """Record the network once; afterwards the processor starts all of it with one call."""
    static = images.clone(memory_format=torch.preserve_format)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # recording allows no first time of anything
        for _ in range(_GRAPH_WARM_UPS):
            network(static)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = network(static)

    def run(images: Tensor) -> Tensor:
        static.copy_(images)
        graph.replay()
        return result

    return run
