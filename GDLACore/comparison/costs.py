"""What a forward pass costs on the CPU: parameters, multiply-adds, time and memory."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from GDLACore.comparison.settings import CostSettings
from GDLACore.errors import TrainingError
from GDLACore.model.card import Architecture, ModelCard
from GDLACore.network.checkpoint import build_network

_PACKAGE_PARENT = Path(__file__).resolve().parents[2]


def measure_costs(
    cards: Sequence[ModelCard], encoder: str, size: int, settings: CostSettings
) -> list[dict[str, Any]]:
    """Return what one image of ``size`` x ``size`` costs the networks of ``cards``.

    All get ``encoder``. ``milliseconds`` is the median over ``rounds`` rounds in each of which
    every network has its turn, ``ratio`` the median over rounds of the time against the first
    card's; ``memory_mib`` is what a forward pass takes beyond the network, None where it cannot be
    told.
    """
    cards = [
        replace(card, architecture=Architecture(encoder, card.architecture.mixer)) for card in cards
    ]
    networks = [_for_inference(card) for card in cards]
    times = _milliseconds(networks, cards[0].in_channels, size, settings)
    return [
        {
            "encoder": encoder,
            "mixer": card.architecture.mixer,
            "size": size,
            "threads": settings.threads,
            "processor": _processor(),
            "torch": torch.__version__,
            "parameters": sum(p.numel() for p in network.parameters()),
            "macs": multiply_adds(network, card.in_channels, size),
            "milliseconds": statistics.median(own),
            "ratio": statistics.median(a / b for a, b in zip(own, times[0], strict=True)),
            "memory_mib": forward_memory_mib(card, size, settings.threads),
        }
        for card, network, own in zip(cards, networks, times, strict=True)
    ]


def multiply_adds(network: nn.Module, in_channels: int, size: int) -> int:
    """Return the multiply-adds of convolutions and matrix products, the attentions' included.

    Counted by PyTorch's own counter, on tensors without contents, with attention in its explicit
    form, because the fused one is not counted.
    """
    counter = FlopCounterMode(display=False)
    with (
        FakeTensorMode(allow_non_fake_inputs=True),
        torch.no_grad(),
        sdpa_kernel(SDPBackend.MATH),
        counter,
    ):
        network(torch.empty(1, in_channels, size, size))
    return counter.get_total_flops() // 2


def forward_memory_mib(card: ModelCard, size: int, threads: int) -> float | None:
    """Return what a forward pass takes beyond the network, measured in a new process.

    None where the system does not tell. Raises :class:`TrainingError` if the pass cannot be made,
    for want of memory for instance.
    """
    path = os.pathsep.join(filter(None, [str(_PACKAGE_PARENT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", "GDLACore.comparison.forward_pass", str(size), str(threads)],
        input=card.to_json(),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise TrainingError(
            f"The memory of {card.architecture} at {size} x {size} cannot be measured: {reason}.",
            "Leave out this size, or `costs`.",
        )
    return json.loads(done.stdout.splitlines()[-1])


def peak_of_this_process_mib(card: ModelCard, size: int) -> float | None:
    """Return how much the resident memory of this process peaks above what it was, in a pass.

    The process must have done nothing before, because freed memory is used again. None where the
    system does not tell (it is Linux that does).
    """
    network, image = _for_inference(card), _image(card.in_channels, size)
    status, peak = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not peak.exists():
        return None
    peak.write_text("5")  # man 5 proc: lets the peak begin anew
    before = _kibibytes(status, "VmRSS")
    with torch.inference_mode():
        network(image)
    return (_kibibytes(status, "VmHWM") - before) / 1024


def _milliseconds(
    networks: Sequence[nn.Module], in_channels: int, size: int, settings: CostSettings
) -> list[list[float]]:
    """Return the times of every network; one round to warm up is not counted."""
    image = _image(in_channels, size)
    before = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    try:
        with torch.inference_mode():
            rounds = [
                [_milliseconds_of(network, image) for network in networks]
                for _ in range(1 + settings.rounds)
            ]
    finally:
        torch.set_num_threads(before)
    return [list(column) for column in zip(*rounds[1:], strict=True)]


def _milliseconds_of(network: nn.Module, image: Tensor) -> float:
    start = time.perf_counter()
    network(image)
    return 1e3 * (time.perf_counter() - start)


def _for_inference(card: ModelCard) -> nn.Module:
    network = build_network(card)
    network.auxiliary_heads = nn.ModuleList()
    # As in the PyTorch engine.
    return network.eval().to(memory_format=torch.channels_last)


def _image(in_channels: int, size: int) -> Tensor:
    image = torch.rand(1, in_channels, size, size)
    return image.contiguous(memory_format=torch.channels_last)


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    for line in path.read_text().splitlines() if path.exists() else ():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def _kibibytes(status: Path, field: str) -> int:
    for line in status.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise OSError(f"{status} does not tell {field}")
