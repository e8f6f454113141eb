"""How ONNX Runtime is told to work, on every processor that it may use.

Options whose effect was measured say so; the others follow from what the network needs: sums in
full single precision, and a computer on which somebody works meanwhile.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnxruntime

CPU = "CPUExecutionProvider"

# "1": between two operators the threads wait by spinning, which is faster than sleeping. They stop
# at the end of a run, so that the window in front gets the processor between slices.
SPINNING = "1"

_ERRORS_ONLY = 3


def session_options(
    runtime: ModuleType, threads: int, provider: str = CPU
) -> onnxruntime.SessionOptions:
    """Return the options of a session that does its arithmetic on ``provider``."""
    options = runtime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = threads
    # The network is a chain: no two of its operators could run side by side.
    options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # DirectML plans its memory itself and refuses a session that does, too.
    options.enable_mem_pattern = provider != "DmlExecutionProvider"
    for key, value in {
        "session.intra_op.allow_spinning": SPINNING,
        "session.force_spinning_stop": "1",
        # Numbers below 1e-38 change no label, but take a CPU a hundred times as long.
        "session.set_denormal_as_zero": "1",
        # The weights then lie outside the arena, which doubles whenever it grows.
        "session.use_device_allocator_for_initializers": "1",
        # Tells afterwards which processor got which operator; older versions ignore it.
        "session.record_ep_graph_assignment_info": "1",
    }.items():
        options.add_session_config_entry(key, value)
    return options


# No TF32, which rounds factors to 11 bits and moves logits by 1e-2: half precision is asked for by
# its name. Heuristics choose convolutions: trying all of them out delays the first slice of every
# size. The arena grows by what is asked for, not to the next power of two: others use the GPU too.
CUDA_OPTIONS = {
    "use_tf32": "0",
    "cudnn_conv_algo_search": "HEURISTIC",
    "arena_extend_strategy": "kSameAsRequested",
}

# Laptops have two GPUs, and the first is not the fast one.
DIRECTML_OPTIONS = {"performance_preference": "high_performance", "device_filter": "gpu"}

# Without the neural engine, which knows half precision only: there the normaliser of the linear
# attention overflows.
COREML_OPTIONS = {"ModelFormat": "MLProgram", "MLComputeUnits": "CPUAndGPU"}


def openvino_options(device: str, threads: int) -> dict[str, str]:
    """Return the options of OpenVINO on ``device``, "GPU" or "CPU".

    Left to itself it rounds to half precision where that is fast; "ACCURACY" keeps the model's.
    """
    options = {"device_type": device, "precision": "ACCURACY"}
    return options | ({"num_of_threads": str(threads)} if device == "CPU" else {})


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
    return Path.home() / ".cache"
