"""What a process holds in memory, as Linux counts it."""

from __future__ import annotations

from pathlib import Path

_STATUS = Path("/proc/self/status")
_MEMINFO = Path("/proc/meminfo")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # man 5 proc: sets the peak of the resident memory to its present size


def resident_mebibytes() -> float:
    """Return what this process holds now."""
    return _mebibytes(_STATUS, "VmRSS")


def peak_mebibytes() -> float:
    """Return the most this process held since its start or since ``reset_peak``.

    Not ``getrusage``: its peak includes what the parent held when it started this process.
    """
    return _mebibytes(_STATUS, "VmHWM")


def reset_peak() -> None:
    """Let the peak begin anew from what is held now."""
    _CLEAR_REFS.write_text(_RESET_PEAK)


def available_mebibytes() -> float:
    """Return what the machine could give to a new process without swapping."""
    return _mebibytes(_MEMINFO, "MemAvailable")


def _mebibytes(file: Path, field: str) -> float:
    for line in file.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"{file} does not tell {field}")
