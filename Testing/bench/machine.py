"""What a measurement was made on: it means nothing without."""

from __future__ import annotations

import os
import platform
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_LIBRARIES = ("torch", "timm", "onnxruntime", "openvino", "numpy", "scipy", "SimpleITK")

# What makes processors differ by factors in half precision and in integers, beside the vectors.
# Names as in /proc/cpuinfo.
_INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile")


def machine() -> dict[str, str]:
    """Return processor, memory, load, system and library versions, each in words."""
    return {
        "date": date.today().isoformat(),
        "processor": f"{_cpuinfo('model name') or _processor()}, {os.cpu_count()} logical cores",
        "instructions": instructions(),
        "memory": f"{_memory_gib():.0f} GiB",
        # A busy machine shows here, and then its times are no good.
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "system": f"{platform.system()} {platform.release()}",
        "versions": ", ".join([f"Python {platform.python_version()}", *_versions()]),
    }


def instructions() -> str:
    """Return which of the instructions that matter here the processor has, and which not."""
    flags = _cpuinfo("flags").split()
    if not flags:
        return "not known"
    present = [name for name in _INSTRUCTIONS if name in flags]
    absent = [name for name in _INSTRUCTIONS if name not in flags]
    return "; ".join(
        [", ".join(present) or "none of those that matter"]
        + ([f"no {', no '.join(absent)}"] if absent else [])
    )


def _versions() -> list[str]:
    found = []
    for library in _LIBRARIES:
        try:
            found.append(f"{library} {version(library)}")
        except PackageNotFoundError:
            found.append(f"no {library}")
    return found


def _cpuinfo(field: str) -> str:
    """Return what Linux says of the first processor, "" where there is no Linux."""
    path = Path("/proc/cpuinfo")
    for line in path.read_text().splitlines() if path.exists() else ():
        name, _, value = line.partition(":")
        if name.strip() == field:
            return value.strip()
    return ""


def _processor() -> str:
    return platform.processor() or platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
