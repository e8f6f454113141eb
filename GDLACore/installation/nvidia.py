"""NVIDIA's GPUs and their driver, as its own program nvidia-smi tells of them."""

from __future__ import annotations

import contextlib
import csv
import os
import re
import shutil
import subprocess
import tempfile

from GDLACore.installation.gpu import Gpu, GpuSearch

_PATIENCE = 10.0  # seconds; a driver that has to be woken takes three

# Where nvidia-smi lies when the search path does not lead to it: in the Windows subsystem for Linux
# and beside old Windows drivers.
_PLACES = (
    "/usr/lib/wsl/lib/nvidia-smi",
    r"C:\Windows\System32\nvidia-smi.exe",
    r"C:\Program Files\NVIDIA Corporation\NVSMI\nvidia-smi.exe",
)
_FIELDS = ("name", "driver_version", "compute_cap")

_PROBLEMS = (
    (r"couldn't communicate with the NVIDIA driver", "the NVIDIA driver does not run"),
    (r"version mismatch", "the NVIDIA driver was updated, and the computer not restarted since"),
    (r"No devices were found", "the NVIDIA driver finds no GPU"),
)


def nvidia_gpus(patience: float = _PATIENCE) -> GpuSearch:
    """Ask nvidia-smi, for at most ``patience`` seconds, which GPUs it sees.

    Without nvidia-smi there are none and no problem.
    """
    program = _program()
    if program is None:
        return GpuSearch()
    fields = list(_FIELDS)
    code, text = _answer(program, fields, patience)
    if code and "not a valid field" in text:  # drivers before 510 cannot tell the generation
        fields.remove("compute_cap")
        code, text = _answer(program, fields, patience)
    if code is None:
        return GpuSearch(problem="the NVIDIA driver does not answer")
    gpus = tuple(_gpus(text, fields))
    if gpus and code == 0:
        return GpuSearch(gpus)
    for pattern, words in _PROBLEMS:
        if re.search(pattern, text, re.IGNORECASE):
            return GpuSearch(problem=words)
    return GpuSearch(problem="nvidia-smi gives no sensible answer")


def _program() -> str | None:
    found = shutil.which("nvidia-smi")
    return found or next((place for place in _PLACES if os.path.isfile(place)), None)


def _answer(program: str, fields: list[str], patience: float) -> tuple[int | None, str]:
    """Return the exit code and what was printed; None instead of the code without an answer."""
    # Into a file: to read a pipe to its end is to wait for whoever else may hold it.
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                [program, f"--query-gpu={','.join(fields)}", "--format=csv,noheader"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Else a black window flashes up in front of a program without a console.
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError:
            return None, ""
        try:
            code = process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            # A process that waits for a broken driver cannot even be killed: it is left behind.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
            return None, ""
        output.seek(0)
        return code, output.read().decode("utf-8", "replace")


def _gpus(text: str, fields: list[str]) -> list[Gpu]:
    gpus = []
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        values = dict(zip(fields, row, strict=False))
        driver = _numbers(values.get("driver_version", ""))
        if len(row) != len(fields) or not driver:
            continue
        capability = _numbers(values.get("compute_cap", ""))
        gpus.append(Gpu("NVIDIA", row[0].strip(), driver, capability[:2] if capability else None))
    return gpus


def _numbers(text: str) -> tuple[int, ...]:
    """Return "580.65.06" as (580, 65, 6), and () for anything else."""
    text = text.strip()
    return tuple(map(int, text.split("."))) if re.fullmatch(r"\d+(\.\d+)+", text) else ()
