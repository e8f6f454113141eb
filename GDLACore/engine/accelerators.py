"""What ONNX Runtime can run on beside the CPU, and how each is told to work."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# No TF32, which rounds factors to 11 bits and moves logits by a hundredth: half precision is asked
# for by its name. Heuristics choose convolutions: trying all of them out delays the first slice of
# every size. The arena grows by what is asked for, not to the next power of two: others use the
# GPU, too.
CUDA_OPTIONS = {
    "use_tf32": "0",
    "cudnn_conv_algo_search": "HEURISTIC",
    "arena_extend_strategy": "kSameAsRequested",
}

# Laptops have two GPUs, and the first is not the fast one.
DIRECTML_OPTIONS = {"performance_preference": "high_performance", "device_filter": "gpu"}

# Without the neural engine, which knows half precision only: the normaliser of the linear
# attention overflows there.
COREML_OPTIONS = {"ModelFormat": "MLProgram", "MLComputeUnits": "CPUAndGPU"}


@dataclass(frozen=True)
class Accelerator:
    """A processor to try."""

    device: str
    """What the user calls it, as in ``DEVICES``."""
    name: str
    """What it is called in sentences."""
    provider: str
    """What ONNX Runtime calls it."""
    options: Mapping[str, str]
    title: str
    """The device in words, once it is in use."""
    package: str
    """Which package of ONNX Runtime has it, and for which computers."""
    build: str
    """How ``RuntimeChoice.device`` begins for that package; "" if it is none of the choices."""

    @property
    def on_gpu(self) -> bool:
        """Return whether it is a GPU: OpenVINO may run on the CPU, where batches gain nothing."""
        return not self.title.startswith("CPU")


def accelerators(threads: int) -> tuple[Accelerator, ...]:
    """Return all that may be tried, best first; ``threads`` are those of the CPU."""
    nvidia = "onnxruntime-gpu, for NVIDIA GPUs under Windows and Linux"
    windows = "onnxruntime-directml, for Windows"
    mac = "onnxruntime for macOS"
    intel = "onnxruntime-openvino, for Intel's processors"
    return (
        Accelerator(
            "cuda",
            "CUDA",
            "CUDAExecutionProvider",
            CUDA_OPTIONS,
            "GPU (CUDA)",
            nvidia,
            "GPU (CUDA)",
        ),
        Accelerator(
            "directml",
            "DirectML",
            "DmlExecutionProvider",
            DIRECTML_OPTIONS,
            "GPU (DirectML)",
            windows,
            "GPU (DirectML)",
        ),
        Accelerator(
            "coreml",
            "CoreML",
            "CoreMLExecutionProvider",
            COREML_OPTIONS,
            "GPU (CoreML)",
            mac,
            "GPU (CoreML)",
        ),
        *(
            Accelerator(
                "openvino",
                "OpenVINO",
                "OpenVINOExecutionProvider",
                openvino_options(processor, threads),
                f"{processor} (OpenVINO)",
                intel,
                "",
            )
            for processor in ("GPU", "CPU")
        ),
        Accelerator(
            "tensorrt",
            "TensorRT",
            "TensorrtExecutionProvider",
            tensorrt_options(),
            "GPU (TensorRT)",
            nvidia,
            "GPU (CUDA)",
        ),
    )


def openvino_options(processor: str, threads: int) -> dict[str, str]:
    """Return the options of OpenVINO on the ``processor`` "GPU" or "CPU".

    Left to itself it rounds to half precision where that is fast; "ACCURACY" keeps the model's.
    """
    options = {"device_type": processor, "precision": "ACCURACY"}
    return options | ({"num_of_threads": str(threads)} if processor == "CPU" else {})


def tensorrt_options() -> dict[str, str]:
    """Return the options of TensorRT: its engines, minutes in the making, are kept for next time.

    It cannot be kept from TF32, unlike CUDA.
    """
    folder = str(_user_cache() / "GDLACore" / "tensorrt")
    return {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": folder,
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": folder,
    }


def _user_cache() -> Path:
    """Return a folder that is the user's own: an engine is a program, and is run as one."""
    for variable in ("LOCALAPPDATA", "XDG_CACHE_HOME"):
        if os.environ.get(variable):
            return Path(os.environ[variable])
    return Path("~/.cache").expanduser()
