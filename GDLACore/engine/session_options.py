"""How ONNX Runtime is told to work beside a person who uses the computer meanwhile."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnxruntime

# "1": between two operators the threads wait by spinning, which is faster than sleeping. They stop
# at the end of a run, so that the window in front gets the processor between slices.
SPINNING = "1"

# What fails is raised, too, and put into a sentence; the user's terminal is not for its log.
# Why a provider cannot be loaded is told by another log.
_FATAL_ONLY = 4


def session_options(
    runtime: ModuleType, threads: int, *, plans_memory: bool = True
) -> onnxruntime.SessionOptions:
    """Return the options of a session that uses ``threads`` of the CPU.

    ``plans_memory``: whether it lays all results of a run out in one block beforehand.
    """
    options = runtime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    options.intra_op_num_threads = threads
    # The network is a chain: no two of its operators could run side by side.
    options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # The arena stays on: without it a slice takes longer, and not less memory (measured).
    options.enable_mem_pattern = plans_memory
    for key, value in {
        "session.intra_op.allow_spinning": SPINNING,
        "session.force_spinning_stop": "1",
        # Numbers below 1e-38 change no label, but take a CPU many times as long.
        "session.set_denormal_as_zero": "1",
        # Tells afterwards which processor got which operator; older versions ignore it.
        "session.record_ep_graph_assignment_info": "1",
    }.items():
        options.add_session_config_entry(key, value)
    return options
