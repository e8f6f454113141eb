"""What a device can do at best: multiply matrices, move its memory, exchange data with the host."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

REPEATS = 7
_PRODUCTS_EACH = 4  # in a row, so that starting them costs nothing beside them


def median_seconds(device: str, call: Callable[[], object], repeats: int = REPEATS) -> float:
    """Return the median time of ``call``, its work on ``device`` finished, after one to warm up."""
    times = []
    for _ in range(repeats + 1):
        settle(device)
        start = time.perf_counter()
        call()
        settle(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def settle(device: str) -> None:
    """Wait until ``device`` has done what it was told; a GPU returns before."""
    if device == "cuda":
        torch.cuda.synchronize()


def matrix_rate(device: str, dtype: torch.dtype, sides: tuple[int, ...]) -> float:
    """Return multiply-adds a second of the fastest product of two square matrices."""
    rates = []
    for side in sides:
        a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        result = torch.empty_like(a)

        def products(a: Tensor = a, b: Tensor = b, result: Tensor = result) -> None:
            for _ in range(_PRODUCTS_EACH):
                torch.mm(a, b, out=result)

        rates.append(_PRODUCTS_EACH * side**3 / median_seconds(device, products))
    return max(rates)


def bandwidth(device: str, mebibytes: int) -> float:
    """Return bytes a second, read and written, when the device copies its own memory."""
    source = torch.empty(mebibytes * 2**20, dtype=torch.uint8, device=device).zero_()
    target = torch.empty_like(source)
    return 2 * len(source) / median_seconds(device, lambda: target.copy_(source))


def transfer_seconds(device: str, bytes_in: int, bytes_out: int) -> tuple[float, float]:
    """Return how long the way to the device and the way back take, from and to pinned memory."""
    pinned = device == "cuda"
    times = []
    for count, to_device in ((bytes_in, True), (bytes_out, False)):
        host = torch.zeros(count, dtype=torch.uint8, pin_memory=pinned)
        own = torch.zeros(count, dtype=torch.uint8, device=device)
        target, source = (own, host) if to_device else (host, own)
        times.append(
            median_seconds(device, lambda t=target, s=source: t.copy_(s, non_blocking=True))
        )
    return times[0], times[1]


def traffic(network: nn.Module, image: Tensor) -> int:
    """Return the bytes that products and convolutions read and write for ``image``.

    The least for a network whose every product reads its operands from memory and writes its result
    there, with all that lies between two of them computed on the way.
    """
    with torch.no_grad(), _Traffic() as counted:
        network(image)
    return counted.bytes


class _Traffic(TorchDispatchMode):
    """Adds up the operands and results of every product while it is active."""

    _PRODUCTS = ("convolution", "mm", "addmm", "bmm", "baddbmm", "_scaled_dot_product")

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, operator, types, arguments=(), options=None):
        result = operator(*arguments, **(options or {}))
        if operator.overloadpacket.__name__.startswith(self._PRODUCTS):
            results = result if isinstance(result, (tuple, list)) else (result,)
            self.bytes += sum(
                tensor.numel() * tensor.element_size()
                for tensor in (*arguments, *results)
                if isinstance(tensor, Tensor)
            )
        return result
