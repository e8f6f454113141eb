"""What a measurement was made on: it means nothing without."""

from __future__ import annotations

import os
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path

_LIBRARIES = ("torch", "timm", "numpy", "scipy", "SimpleITK")


def machine() -> dict[str, str]:
    """Return processor, memory, load, system and library versions, each in words."""
    return {
        "date": date.today().isoformat(),
        "processor": f"{_processor()}, {os.cpu_count()} logical cores",
        "memory": f"{_memory_gib():.0f} GiB",
        # A busy machine shows here, and then its times are no good.
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "system": f"{platform.system()} {platform.release()}",
        "versions": ", ".join(
            [f"Python {platform.python_version()}"]
            + [f"{library} {version(library)}" for library in _LIBRARIES]
        ),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
