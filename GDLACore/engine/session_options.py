"""How ONNX Runtime is told to work beside a person who uses the computer meanwhile."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnxruntime

# What fails is raised, too, and put into a sentence; the user's terminal is not for its log.
# Why a provider cannot be loaded is told by another log.
_FATAL_ONLY = 4


def session_options(
    runtime: ModuleType, *, plans_memory: bool = True
) -> onnxruntime.SessionOptions:
    """Return the options of a session that uses one core for each slice.

    ``plans_memory``: whether it lays all results of a run out in one block beforehand.
    """
    options = runtime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    options.intra_op_num_threads = 1
    # The network is a chain: no two of its operators could run side by side.
    options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # The arena stays on: without it a slice takes longer, and not less memory (measured).
    options.enable_mem_pattern = plans_memory
    # Tells afterwards which processor got which operator; older versions ignore it.
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return options
