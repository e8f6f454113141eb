"""Which build of ONNX Runtime suits a computer, why, and what it costs to get."""

from __future__ import annotations

from dataclasses import dataclass

from GDLACore.errors import EngineError
from GDLACore.installation.builds import (
    BUILDS,
    CUDA_LIBRARIES,
    CUDNN_FOR_OLD_CHIPS,
    OLD_CHIPS_BELOW,
    Build,
    CudaLibraries,
)
from GDLACore.installation.gpu import Gpu
from GDLACore.installation.system import SystemFacts

_DIRECTML_VENDORS = ("NVIDIA", "AMD", "Intel", "Qualcomm")
_THOUSAND_MB = 1000


@dataclass(frozen=True)
class RuntimeChoice:
    """A build of ONNX Runtime to install: exactly one of them may be present.

    ``reason`` is a sentence. ``requirements`` are for pip. Sizes are in millions of bytes, with all
    that pip would fetch along, numpy left out.
    """

    package: str
    device: str
    reason: str
    requirements: tuple[str, ...]
    download_mb: int
    installed_mb: int

    @property
    def cost(self) -> str:
        """Return the sizes in words."""
        return f"{_size(self.download_mb)} to download, {_size(self.installed_mb)} on the disk"


def runtime_choice(system: SystemFacts) -> RuntimeChoice:
    """Return the build that makes the most of ``system``; see ``runtime_choices``."""
    return runtime_choices(system)[0]


def runtime_choices(system: SystemFacts) -> tuple[RuntimeChoice, ...]:
    """Return the builds that work on ``system``, fastest first, the small one for the CPU last.

    Raises EngineError if there is none, as for macOS 11.
    """
    fitting = [build for build in BUILDS if _fits(build, system)]
    plain = [build for build in fitting if build.package == "onnxruntime"]
    if not plain:
        raise EngineError(
            f"There is no ONNX Runtime for {_in_words(system)}.",
            "Use Python 3.10 to 3.13 of 64 bits under Windows 10, macOS 13, or Linux with "
            "glibc 2.28, or newer.",
        )
    return (
        *_with_cuda(system, fitting)[:1],
        *_with_directml(system, fitting),
        _on_cpu(system, plain[0]),
    )


def _fits(build: Build, system: SystemFacts) -> bool:
    oldest, newest = build.pythons
    return (
        (build.os, build.machine) == (system.os, system.machine)
        and oldest <= system.python <= newest
        and build.oldest_os <= system.os_version
    )


def _with_cuda(system: SystemFacts, fitting: list[Build]) -> list[RuntimeChoice]:
    choices = [
        _cuda_choice(system, gpu, build, libraries)
        for build in fitting
        for gpu in system.gpus
        for libraries in CUDA_LIBRARIES
        if (libraries.cuda, libraries.os) == (build.cuda, system.os)
        and libraries.oldest_driver <= gpu.driver
        and (gpu.capability is None or build.runs_on(gpu.capability))
    ]
    # Libraries that are there already spare gigabytes; else the newer build is the smaller one.
    return sorted(choices, key=lambda choice: choice.download_mb)


def _cuda_choice(
    system: SystemFacts, gpu: Gpu, build: Build, libraries: CudaLibraries
) -> RuntimeChoice:
    driver = ".".join(map(str, gpu.driver[:2]))
    reason = f"{gpu.name} with driver {driver} runs CUDA {build.cuda}"
    device = "GPU (CUDA)"
    if system.cuda == build.cuda:
        return RuntimeChoice(
            build.package,
            device,
            f"{reason}, whose libraries are installed already.",
            (build.requirement,),
            build.download_mb,
            build.installed_mb,
        )
    old = gpu.capability is not None and gpu.capability < OLD_CHIPS_BELOW
    return RuntimeChoice(
        build.package,
        device,
        f"{reason}, whose libraries come along.",
        (
            build.requirement.replace(build.package, f"{build.package}[cuda,cudnn]"),
            *([CUDNN_FOR_OLD_CHIPS] if old else []),
        ),
        build.download_mb + libraries.download_mb,
        build.installed_mb + libraries.installed_mb,
    )


def _with_directml(system: SystemFacts, fitting: list[Build]) -> list[RuntimeChoice]:
    names = [gpu.name for gpu in system.gpus if gpu.vendor in _DIRECTML_VENDORS]
    return [
        RuntimeChoice(
            build.package,
            "GPU (DirectML)",
            f"{names[0]} is used through DirectX 12, which Windows brings.{_cuda_obstacle(system)}",
            (build.requirement,),
            build.download_mb,
            build.installed_mb,
        )
        for build in fitting
        if names and build.package == "onnxruntime-directml"
    ]


def _on_cpu(system: SystemFacts, build: Build) -> RuntimeChoice:
    device = "CPU"
    if system.os == "macOS":
        device = "GPU (CoreML) or CPU, whichever is faster"
        reason = "The one build for Macs uses their GPU through CoreML."
    elif not system.gpus:
        reason = f"No GPU was found{f': {system.gpu_problem}' if system.gpu_problem else ''}."
    else:
        names = ", ".join(dict.fromkeys(gpu.name for gpu in system.gpus))
        reason = f"It runs on the CPU; {names} would not be used.{_cuda_obstacle(system)}"
    return RuntimeChoice(
        build.package,
        device,
        reason,
        (build.requirement,),
        build.download_mb,
        build.installed_mb,
    )


def _cuda_obstacle(system: SystemFacts) -> str:
    """Return a sentence, after a space, on why an NVIDIA GPU is not used with CUDA; "" if it is."""
    gpus = [gpu for gpu in system.gpus if gpu.vendor == "NVIDIA"]
    libraries = [entry for entry in CUDA_LIBRARIES if entry.os == system.os]
    if not gpus or not libraries:
        return ""
    oldest = min(entry.oldest_driver for entry in libraries)
    drivers = [gpu.driver for gpu in gpus if gpu.driver]
    if not drivers:
        return f" CUDA needs its driver: {system.gpu_problem or 'it is not installed'}."
    if max(drivers) < oldest:
        found, wanted = (".".join(map(str, version[:2])) for version in (max(drivers), oldest))
        return f" CUDA needs a newer driver: {wanted}, where {found} is installed."
    if not _with_cuda(system, [build for build in BUILDS if _fits(build, system)]):
        return " There is no build with CUDA for this kind of GPU and driver."
    return ""


def _in_words(system: SystemFacts) -> str:
    version = ".".join(map(str, system.os_version)) or "of unknown version"
    python = ".".join(map(str, system.python))
    library = "glibc " if system.os == "Linux" else ""
    return f"Python {python} on {system.os} {library}{version} ({system.machine})"


def _size(megabytes: int) -> str:
    if megabytes < _THOUSAND_MB:
        return f"{megabytes} MB"
    return f"{megabytes / _THOUSAND_MB:.1f} GB"
