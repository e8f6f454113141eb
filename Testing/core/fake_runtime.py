"""A stand-in for ONNX Runtime with the GPUs, and the troubles, that a test needs.

It is strict: what the real one would not understand it refuses.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from GDLACore.engine import providers
from GDLACore.engine.providers import OpenedSession, open_session

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
DIRECTML = "DmlExecutionProvider"
OPENVINO = "OpenVINOExecutionProvider"

RIGHT = np.linspace(-8, 8, 24, dtype=np.float32).reshape(1, 2, 3, 4)


# What the real one prints.
NO_CUDNN = (
    "\x1b[1;31m2026-11-22 13:00:53 [E:onnxruntime:Default, provider_bridge_ort.cc:2458 operator()] "
    "[ONNXRuntimeError] : 1 : FAIL : Failed to load library /home/jane/onnxruntime/capi/"
    "libonnxruntime_providers_cuda.so with error: libcudnn.so.9: cannot open shared object file: "
    "No such file or directory\n\x1b[m"
)
NO_INTEL_GPU = "[ERROR] [OpenVINO] Device GPU is not available"


class Clock:
    """Time that passes only while a session runs."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@dataclass
class Behaviour:
    """What a provider does when it is asked for."""

    result: np.ndarray = field(default_factory=lambda: RIGHT.copy())
    seconds: float = 1.0
    delays: list[float] = field(default_factory=list)
    """What the first runs take longer."""
    fails_to_open: Exception | None = None
    fails_to_run: BaseException | None = None
    becomes_cpu: str | None = None
    """What it prints before it hands over to the CPU without a word to Python."""
    leaves: int = 0
    """How many of ten convolutions it leaves to the CPU."""


class Session:
    """A stand-in for InferenceSession."""

    def __init__(self, provider: str, behaviour: Behaviour, clock: Clock) -> None:
        self._providers = [provider] if provider == CPU else [provider, CPU]
        self._behaviour = behaviour
        self._clock = clock

    def get_providers(self) -> list[str]:
        return list(self._providers)

    def get_provider_graph_assignment_info(self) -> list[SimpleNamespace]:
        here = ["FusedConv"] * (10 - self._behaviour.leaves) + ["Shape"]
        left = ["Conv"] * self._behaviour.leaves + ["Reshape"] * 20
        return [
            SimpleNamespace(
                ep_name=name, get_nodes=lambda k=kinds: [SimpleNamespace(op_type=x) for x in k]
            )
            for name, kinds in ((self._providers[0], here), (CPU, left))
        ]

    def run(self, names: list[str] | None, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        self._clock.now += self._behaviour.seconds
        self._clock.now += self._behaviour.delays.pop(0) if self._behaviour.delays else 0.0
        if self._behaviour.fails_to_run is not None:
            raise self._behaviour.fails_to_run
        return [self._behaviour.result]


class SessionOptions:
    """Knows the settings of the real one, and no others."""

    __slots__ = (
        "config",
        "enable_mem_pattern",
        "execution_mode",
        "graph_optimization_level",
        "inter_op_num_threads",
        "intra_op_num_threads",
        "log_severity_level",
    )

    def __init__(self) -> None:
        self.config: dict[str, str] = {}

    def add_session_config_entry(self, key: str, value: str) -> None:
        assert isinstance(key, str) and isinstance(value, str)
        self.config[key] = value


class FakeRuntime(ModuleType):
    """A stand-in for the module, with ``behaviours`` for each provider but the CPU's, best first.

    A provider may have several behaviours, for the times that it is asked.
    """

    __version__ = "1.99.0"
    ExecutionMode = Enum("ExecutionMode", ["ORT_SEQUENTIAL", "ORT_PARALLEL"])
    GraphOptimizationLevel = Enum("GraphOptimizationLevel", ["ORT_DISABLE_ALL", "ORT_ENABLE_ALL"])
    SessionOptions = SessionOptions

    def __init__(
        self, behaviours: dict[str, Sequence[Behaviour]], cpu: Behaviour | None = None
    ) -> None:
        super().__init__("onnxruntime")
        self.clock = Clock()
        self.opened: list[tuple[list, SessionOptions]] = []
        self.preloaded = False
        self.sessions: Callable[[Session], None] = lambda session: None
        self._waiting = {name: list(several) for name, several in behaviours.items()}
        self._waiting[CPU] = [cpu or Behaviour()]

    def get_available_providers(self) -> list[str]:
        return list(self._waiting)

    def preload_dlls(self) -> None:
        print("Failed to load libnothing.so.13: on standard output, as the real one does")
        self.preloaded = True

    def InferenceSession(
        self,
        model: bytes,
        options: SessionOptions,
        *,
        providers: list[str | tuple[str, dict[str, str]]],
        enable_fallback: int,
    ) -> Session:
        assert not enable_fallback, "a failure must not be hidden behind the CPU"
        assert providers[-1] == CPU
        self.opened.append((providers, options))
        provider = providers[0][0] if isinstance(providers[0], tuple) else providers[0]
        behaviour = self._waiting[provider].pop(0)
        if behaviour.fails_to_open is not None:
            raise behaviour.fails_to_open
        if behaviour.becomes_cpu is not None:
            os.write(2, behaviour.becomes_cpu.encode())
            provider = CPU
        session = Session(provider, behaviour, self.clock)
        self.sessions(session)
        return session


def open_fake(
    monkeypatch: pytest.MonkeyPatch, runtime: FakeRuntime, device: str = "auto", at_a_time: int = 2
) -> OpenedSession:
    """Open a model with ``runtime`` in the place of ONNX Runtime, and its clock."""
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    monkeypatch.setattr(providers, "time", runtime.clock)

    def run(session) -> np.ndarray:
        return session.run(None, {"image": RIGHT})[0]

    return open_session(b"model", device=device, at_a_time=at_a_time, probe=run)
