"""CUDA's libraries among the installed Python packages, where ONNX Runtime looks for them."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version

# Of what ONNX Runtime needs, what PyTorch brings under Linux: NVIDIA's packages.
_PACKAGES = {
    13: ("nvidia-cublas", "nvidia-cuda-runtime", "nvidia-curand", "nvidia-cudnn-cu13"),
    12: (
        "nvidia-cublas-cu12",
        "nvidia-cuda-runtime-cu12",
        "nvidia-cufft-cu12",
        "nvidia-curand-cu12",
        "nvidia-cudnn-cu12",
    ),
}


def installed_cuda() -> int | None:
    """Return the major version of CUDA that is installed with cuDNN, None if it is not.

    Nothing is imported: PyTorch alone would take seconds.
    """
    for major, packages in _PACKAGES.items():
        if all(_version(package) for package in packages):
            return major
    return _torch_cuda() if sys.platform == "win32" else None


def _torch_cuda() -> int | None:
    """Return the major version of CUDA inside PyTorch for Windows, which brings its own.

    It is in the version: "2.9.0+cu130".
    """
    _, _, build = (_version("torch") or "").partition("+cu")
    return int(build[:2]) if build[:2].isdigit() and len(build) >= 3 else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
