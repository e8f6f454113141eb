"""What of a computer decides which build of ONNX Runtime suits it."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from GDLACore.installation.adapters import directx_adapters
from GDLACore.installation.cuda_packages import installed_cuda
from GDLACore.installation.gpu import Gpu, GpuSearch
from GDLACore.installation.nvidia import nvidia_gpus

_PCI_DEVICES = Path("/sys/bus/pci/devices")
_DISPLAY_CLASS = "0x03"
_PCI_VENDORS = {"0x10de": "NVIDIA", "0x1002": "AMD", "0x8086": "Intel"}

_SYSTEMS = {"Darwin": "macOS"}
_MACHINES = {"amd64": "x86_64", "x64": "x86_64", "aarch64": "arm64"}


@dataclass(frozen=True)
class SystemFacts:
    """A computer, its GPUs and the Python that runs on it.

    ``os`` is "Windows", "macOS", "Linux" or what else Python calls it; ``os_version`` the version
    that packages go by: of macOS, of Windows (10, 0, build), of Linux's C library, () if unknown.
    ``machine`` is "x86_64" or "arm64". ``gpu_problem`` says, as part of a sentence, why GPUs that
    are there cannot be used. ``cuda`` is the major version of CUDA whose libraries, with cuDNN's,
    are installed as Python packages, such as PyTorch's; None if they are not.
    """

    os: str
    os_version: tuple[int, ...]
    machine: str
    python: tuple[int, int]
    gpus: tuple[Gpu, ...] = ()
    gpu_problem: str = ""
    cuda: int | None = None

    @property
    def words(self) -> str:
        """Return what a package must be for, as part of a sentence."""
        return f"Python {'.'.join(map(str, self.python))} on {self.os} ({self.machine})"


def detect_system() -> SystemFacts:
    """Look this computer over, in well under a second if its drivers are well."""
    system = this_system()
    search = _gpus(system.os)
    return replace(system, gpus=search.gpus, gpu_problem=search.problem, cuda=installed_cuda())


def this_system() -> SystemFacts:
    """Return what is known of this computer without looking for GPUs, at once."""
    os_name = _SYSTEMS.get(platform.system(), platform.system())
    machine = platform.machine().lower()
    return SystemFacts(
        os_name,
        _os_version(os_name),
        _MACHINES.get(machine, machine),
        sys.version_info[:2],
    )


def _os_version(os_name: str) -> tuple[int, ...]:
    library, library_version = platform.libc_ver()
    text = {
        "macOS": platform.mac_ver()[0],
        "Windows": platform.version(),
        # There are no packages for Linux with another C library, such as Alpine's.
        "Linux": library_version if library == "glibc" else "",
    }.get(os_name, "")
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def _gpus(os_name: str) -> GpuSearch:
    if os_name == "macOS":
        apple = platform.machine() == "arm64"
        return GpuSearch((Gpu("Apple", "Apple silicon"),) if apple else ())
    seen = directx_adapters() if os_name == "Windows" else pci_gpus()
    nvidia = nvidia_gpus()
    if nvidia.gpus:  # with their driver's version, which the others' lists lack
        return GpuSearch((*nvidia.gpus, *(gpu for gpu in seen if gpu.vendor != "NVIDIA")))
    return GpuSearch(seen, nvidia.problem)


def pci_gpus(devices: Path = _PCI_DEVICES) -> tuple[Gpu, ...]:
    """Return the GPUs in the slots of a Linux computer, whether or not they have a driver."""
    found = []
    for device in sorted(devices.glob("*")):
        try:
            kind, vendor = ((device / name).read_text().strip() for name in ("class", "vendor"))
        except OSError:
            continue
        if kind.startswith(_DISPLAY_CLASS) and vendor in _PCI_VENDORS:
            found.append(Gpu(_PCI_VENDORS[vendor], f"{_PCI_VENDORS[vendor]} GPU"))
    return tuple(found)
