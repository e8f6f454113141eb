"""A GPU, as far as it matters to what is installed for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    ``vendor`` is "NVIDIA", "AMD", "Intel", "Apple", "Qualcomm" or "other". Of NVIDIA's that answer,
    ``driver`` is the version of the driver, such as (580, 65, 6), and ``capability`` the generation
    of the chip, such as (8, 6) for an RTX 3060; else () and None.
    """

    vendor: str
    name: str
    driver: tuple[int, ...] = ()
    capability: tuple[int, int] | None = None


@dataclass(frozen=True)
class GpuSearch:
    """The GPUs found, and why others that seem to be there were not, as part of a sentence."""

    gpus: tuple[Gpu, ...] = ()
    problem: str = ""
