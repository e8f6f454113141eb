"""The builds of ONNX Runtime that are published, and what each weighs.

Sizes are those of the wheels, and of what they unpack to, in units of a million bytes, with all
that they require but numpy, which is there already; measured on 2026-11-22. They grow by some
percent a year: enough to tell 20 MB from 2 GB.
"""

from __future__ import annotations

from dataclasses import dataclass

Version = tuple[int, ...]


@dataclass(frozen=True)
class Build:
    """One build: where it runs, and what it takes.

    ``requirement`` is what pip is asked for; ``version`` was the newest that fits it when it was
    measured. ``oldest_os`` is compared with ``SystemFacts.os_version``. ``cuda`` is the major
    version of CUDA that it needs, 0 if none. ``chips`` are the generations of NVIDIA's GPUs whose
    code it holds, and ``translatable`` the one from which the driver can translate for newer
    ones, if any.
    """

    package: str
    requirement: str
    version: str
    os: str
    machine: str
    pythons: tuple[Version, Version]
    oldest_os: Version
    download_mb: int
    installed_mb: int
    cuda: int = 0
    chips: tuple[Version, ...] = ()
    translatable: Version = ()

    def runs_on(self, capability: Version) -> bool:
        """Return whether there is code in it for a GPU of the generation ``capability``.

        Code runs on later members of its own family, (8, 6) on (8, 9) but not on (9, 0).
        """
        same = [chip for chip in self.chips if chip[0] == capability[0]]
        return any(chip <= capability for chip in same) or (
            bool(self.translatable) and self.translatable <= capability
        )


@dataclass(frozen=True)
class CudaLibraries:
    """CUDA and cuDNN as the extras ``[cuda,cudnn]`` of onnxruntime-gpu install them."""

    cuda: int
    os: str
    oldest_driver: Version
    download_mb: int
    installed_mb: int


# Newer releases dropped Python 3.10, and Macs with Intel processors.
_PYTHON_310 = ((3, 10), (3, 10))
_NEWER = ((3, 11), (3, 13))
_ANY = ((3, 10), (3, 13))

# The oldest C library, Windows 10, the Windows 10 with DirectML, and macOS.
_GLIBC, _WINDOWS, _WINDOWS_1903, _MAC = (2, 28), (10, 0), (10, 0, 18362), (13,)

_PLAIN = ("onnxruntime", "onnxruntime>=1.23")
_DIRECTML = ("onnxruntime-directml", "onnxruntime-directml>=1.23")
_CUDA_13 = ("onnxruntime-gpu", "onnxruntime-gpu>=1.28")
_CUDA_12 = ("onnxruntime-gpu", "onnxruntime-gpu>=1.23,<1.27")

_CHIPS_13 = ((7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (12, 0))
_CHIPS_12_LINUX = ((6, 0), (7, 0), (7, 5), (8, 0), (8, 6), (9, 0))
_CHIPS_12_WINDOWS = ((5, 2), (6, 1), (7, 5), (8, 6), (8, 9))

# fmt: off
BUILDS = (
    Build(*_CUDA_13, "1.31.1", "Linux", "x86_64", _NEWER, _GLIBC, 256, 352, 13, _CHIPS_13),
    Build(*_CUDA_13, "1.31.1", "Windows", "x86_64", _NEWER, _WINDOWS, 169, 241, 13, _CHIPS_13,
          (12, 0)),
    Build(*_CUDA_12, "1.26.0", "Linux", "x86_64", _NEWER, _GLIBC, 278, 456, 12, _CHIPS_12_LINUX,
          (9, 0)),
    Build(*_CUDA_12, "1.26.0", "Windows", "x86_64", _NEWER, _WINDOWS, 227, 382, 12,
          _CHIPS_12_WINDOWS, (9, 0)),
    Build(*_CUDA_12, "1.23.2", "Linux", "x86_64", _PYTHON_310, _GLIBC, 308, 516, 12,
          _CHIPS_12_LINUX, (9, 0)),
    Build(*_CUDA_12, "1.23.2", "Windows", "x86_64", _PYTHON_310, _WINDOWS, 252, 438, 12,
          _CHIPS_12_WINDOWS, (9, 0)),
    Build(*_DIRECTML, "1.24.4", "Windows", "x86_64", _NEWER, _WINDOWS_1903, 33, 102),
    Build(*_DIRECTML, "1.23.0", "Windows", "x86_64", _PYTHON_310, _WINDOWS_1903, 33, 102),
    Build(*_PLAIN, "1.32.0", "Linux", "x86_64", _NEWER, _GLIBC, 28, 78),
    Build(*_PLAIN, "1.32.0", "Linux", "arm64", _NEWER, _GLIBC, 24, 62),
    Build(*_PLAIN, "1.32.0", "Windows", "x86_64", _NEWER, _WINDOWS, 17, 53),
    Build(*_PLAIN, "1.32.0", "Windows", "arm64", _NEWER, _WINDOWS, 17, 50),
    Build(*_PLAIN, "1.32.0", "macOS", "arm64", _NEWER, _MAC, 23, 86),
    Build(*_PLAIN, "1.23.2", "macOS", "x86_64", _ANY, _MAC, 27, 104),
    Build(*_PLAIN, "1.23.2", "macOS", "arm64", _PYTHON_310, _MAC, 25, 97),
    Build(*_PLAIN, "1.23.2", "Linux", "x86_64", _PYTHON_310, _GLIBC, 25, 81),
    Build(*_PLAIN, "1.23.2", "Linux", "arm64", _PYTHON_310, _GLIBC, 23, 74),
    Build(*_PLAIN, "1.23.2", "Windows", "x86_64", _PYTHON_310, _WINDOWS, 21, 71),
)

CUDA_LIBRARIES = (
    CudaLibraries(13, "Linux", (580,), 1311, 2172),
    CudaLibraries(13, "Windows", (580,), 1170, 1735),
    CudaLibraries(12, "Linux", (525, 60), 1700, 2815),
    CudaLibraries(12, "Windows", (527, 41), 1631, 2512),
)
# fmt: on

# cuDNN from here on has no code for GPUs before the RTX 20 series.
CUDNN_FOR_OLD_CHIPS = "nvidia-cudnn-cu12<9.11"
OLD_CHIPS_BELOW = (7, 5)
