"""On which processor a network runs: found out by running it, not by a list."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from GDLACore.engine.native_output import captured_output
from GDLACore.engine.processors import physical_cores
from GDLACore.engine.refusal import refusal_in_words
from GDLACore.engine.runtime import onnx_runtime
from GDLACore.engine.session_options import (
    COREML_OPTIONS,
    CPU,
    CUDA_OPTIONS,
    DIRECTML_OPTIONS,
    openvino_options,
    session_options,
    tensorrt_options,
)
from GDLACore.errors import DeviceError, EngineError, GDLAError

if TYPE_CHECKING:
    import onnxruntime

_log = logging.getLogger(__name__)

DEVICES = ("auto", "cpu", "cuda", "directml", "coreml", "openvino", "tensorrt")

# As a part of the range of the CPU's logits. Half precision stays below 0.01; a driver that
# computes something else does not.
_TOLERANCE = 0.05

# Nearly all of the network's arithmetic. A provider that leaves these to the CPU is none.
_HEAVY = ("Conv", "MatMul", "Gemm")

Probe = Callable[["onnxruntime.InferenceSession"], np.ndarray]


@dataclass(frozen=True, eq=False)
class OpenedSession:
    """A session that has run one slice and given the right result.

    ``provider`` is ONNX Runtime's name of what it runs on, ``device`` that in words, such as
    "GPU (CUDA)" or "CPU (4 threads)". ``reason`` says why it is not the one that was wanted, such
    as "CUDA asked for, libcudnn.so.9 missing"; "" if it is.
    """

    session: onnxruntime.InferenceSession
    provider: str
    device: str
    reason: str = ""

    @property
    def description(self) -> str:
        """Return the device and why it is this one, as ``Engine.describe`` does."""
        return f"{self.reason}: running on {self.device}" if self.reason else self.device


@dataclass(frozen=True)
class _Candidate:
    """A processor to try: what the user calls it, and what ONNX Runtime does."""

    device: str
    name: str
    provider: str
    options: Mapping[str, str]
    title: str
    package: str
    """Where it is to be had, for somebody who asks for it and has not got it."""


class _RefusedError(Exception):
    """A candidate was not taken; the message says why, as part of a sentence."""


def open_session(
    model: bytes | Path, *, device: str = "auto", threads: int | None = None, probe: Probe
) -> OpenedSession:
    """Open ``model``, an ONNX file or its content, on the fastest processor that gets it right.

    ``probe`` runs one slice with the session it is given and returns the result, an array of any
    shape; it raises if that cannot be done. It is run on the CPU first. A GPU is taken if its
    result is finite and the CPU's, but for rounding, and if it is the faster of the two.
    ``device`` is one of ``DEVICES``: "auto" tries CUDA, DirectML, CoreML and OpenVINO, as far as
    the installed ONNX Runtime knows them, in this order. TensorRT must be asked for: it takes
    minutes to prepare itself for a size of image. Of a GPU asked for by name no speed is demanded;
    if it cannot be used the CPU is, with a warning in the log and a ``reason`` in the result.
    ``threads`` are those of the CPU; by default one for each physical core.

    Raises DeviceError for an unknown device, and for one that the installed ONNX Runtime is not
    built for; EngineError if the network cannot be run even on the CPU.
    """
    if device not in DEVICES:
        raise DeviceError(f"Unknown device {device!r}.", f"Choose one of: {', '.join(DEVICES)}.")
    threads = physical_cores() if threads is None else threads
    runtime = onnx_runtime()
    candidates = _candidates(device, threads, runtime)
    cpu, expected = _on_cpu(runtime, model, threads, probe)
    refusals = []
    for candidate in candidates:
        try:
            session = _on_candidate(runtime, model, threads, candidate)
            _check_result(probe(session), expected)
            if device == "auto":
                _check_speed(probe, session, cpu.session)
        except Exception as error:  # of the drivers' many kinds; the CPU is there to go on with
            refusals.append((candidate.name, _why(error)))
            _log.debug("%s refused", candidate.name, exc_info=True)
        else:
            return OpenedSession(session, candidate.provider, candidate.title)
    used = "not used" if device == "auto" else "asked for"
    reason = "; ".join(f"{name} {used}, {why}" for name, why in dict(refusals).items())
    result = OpenedSession(cpu.session, cpu.provider, cpu.device, reason)
    if reason and device != "auto":
        _log.warning("%s.", result.description)
    return result


def _candidates(device: str, threads: int, runtime: ModuleType) -> list[_Candidate]:
    """Return what is to be tried before the CPU, best first."""
    if device == "cpu":
        return []
    offered = runtime.get_available_providers()
    wanted = [
        candidate
        for candidate in _known(threads)
        if candidate.device == device or (device == "auto" and candidate.device != "tensorrt")
    ]
    here = [candidate for candidate in wanted if candidate.provider in offered]
    if device != "auto" and not here:
        raise DeviceError(
            f"The installed ONNX Runtime {runtime.__version__} is built without {wanted[0].name}.",
            f"{wanted[0].name} comes with {wanted[0].package}, which takes the place of the "
            "installed package; or choose the device auto or cpu.",
        )
    return here


def _known(threads: int) -> list[_Candidate]:
    nvidia = "the package onnxruntime-gpu for NVIDIA GPUs under Windows and Linux"
    openvino = "the package onnxruntime-openvino for Intel's processors"
    return [
        _Candidate("cuda", "CUDA", "CUDAExecutionProvider", CUDA_OPTIONS, "GPU (CUDA)", nvidia),
        _Candidate(
            "directml",
            "DirectML",
            "DmlExecutionProvider",
            DIRECTML_OPTIONS,
            "GPU (DirectML)",
            "the package onnxruntime-directml for Windows",
        ),
        _Candidate(
            "coreml",
            "CoreML",
            "CoreMLExecutionProvider",
            COREML_OPTIONS,
            "GPU (CoreML)",
            "the package onnxruntime for macOS",
        ),
        *(
            _Candidate(
                "openvino",
                f"OpenVINO on the {processor}",
                "OpenVINOExecutionProvider",
                openvino_options(processor, threads),
                f"{processor} (OpenVINO)",
                openvino,
            )
            for processor in ("GPU", "CPU")
        ),
        _Candidate(
            "tensorrt",
            "TensorRT",
            "TensorrtExecutionProvider",
            tensorrt_options(),
            "GPU (TensorRT)",
            nvidia,
        ),
    ]


def _on_cpu(
    runtime: ModuleType, model: bytes | Path, threads: int, probe: Probe
) -> tuple[OpenedSession, np.ndarray]:
    """Return a session on the CPU, and what ``probe`` gives there."""
    try:
        session = runtime.InferenceSession(
            model, session_options(runtime, threads), providers=[CPU], enable_fallback=0
        )
        result = np.asarray(probe(session))
    except GDLAError:
        raise
    except MemoryError as error:
        raise EngineError(
            "There is not enough memory to load the network.", "Close other programs and try again."
        ) from error
    except Exception as error:  # ONNX Runtime has an exception for each of its error codes
        subject = str(model) if isinstance(model, Path) else "the network"
        raise EngineError(
            f"ONNX Runtime {runtime.__version__} cannot run {subject}: "
            f"{refusal_in_words(str(error))}.",
            "Update onnxruntime, or export the model again.",
        ) from error
    _check_finite(result)
    title = f"CPU ({threads} thread{'s' if threads != 1 else ''})"
    return OpenedSession(session, CPU, title), result


def _on_candidate(
    runtime: ModuleType, model: bytes | Path, threads: int, candidate: _Candidate
) -> onnxruntime.InferenceSession:
    """Return a session on ``candidate``; raise if ONNX Runtime gives another instead."""
    providers = [(candidate.provider, dict(candidate.options)), CPU]
    if candidate.device == "tensorrt":
        providers.insert(1, ("CUDAExecutionProvider", dict(CUDA_OPTIONS)))
    with captured_output() as printed:
        try:
            if candidate.device in ("cuda", "tensorrt"):
                runtime.preload_dlls()  # finds the libraries of an installed PyTorch, or the extras
            # By default a failure is answered, with a few lines on stdout, by a session on the CPU.
            session = runtime.InferenceSession(
                model,
                session_options(runtime, threads, candidate.provider),
                providers=providers,
                enable_fallback=0,
            )
        except Exception as error:
            raise _RefusedError(refusal_in_words(f"{printed()}\n{error}")) from error
        text = printed()
    _log.debug("%s: %s", candidate.name, text)
    if session.get_providers()[0] != candidate.provider:
        raise _RefusedError(refusal_in_words(text))
    _check_share(session, candidate.provider)
    return session


def _check_share(session: onnxruntime.InferenceSession, provider: str) -> None:
    """Raise if most of the arithmetic is left to the CPU, as CUDA does with no cuDNN to be found."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return  # ONNX Runtime before 1.24
    heavy = [
        part.ep_name
        for part in session.get_provider_graph_assignment_info()
        for node in part.get_nodes()
        if any(kind in node.op_type for kind in _HEAVY)
    ]
    left = len(heavy) - heavy.count(provider)
    if 2 * left > len(heavy):
        raise _RefusedError(f"it leaves {left} of {len(heavy)} large operations to the CPU")


def _check_result(result: np.ndarray, expected: np.ndarray) -> None:
    """Raise if a provider computes something else than the CPU, which happens with bad drivers."""
    result = np.asarray(result)
    if result.shape != expected.shape or not np.isfinite(result).all():
        raise _RefusedError("its results are not finite numbers")
    if np.abs(result - expected).max() > _TOLERANCE * np.ptp(expected):
        raise _RefusedError("its results are wrong")


def _check_finite(result: np.ndarray) -> None:
    if not np.isfinite(result).all():
        raise EngineError(
            "The network's results are not finite numbers.",
            "The model file may be damaged; get it again.",
        )


def _check_speed(
    probe: Probe, session: onnxruntime.InferenceSession, cpu: onnxruntime.InferenceSession
) -> None:
    """Raise if the CPU is the faster one. Both have run once, and have prepared what they need."""
    here, there = _seconds(probe, session), _seconds(probe, cpu)
    if here > there:
        raise _RefusedError(f"slower than the CPU ({here:.2g} s for a slice, not {there:.2g} s)")


def _seconds(probe: Probe, session: onnxruntime.InferenceSession) -> float:
    start = time.perf_counter()
    probe(session)
    return time.perf_counter() - start


def _why(error: Exception) -> str:
    if isinstance(error, _RefusedError):
        return str(error)
    if isinstance(error, GDLAError):
        return error.message.rstrip(".")
    if isinstance(error, MemoryError):
        return "the GPU has too little free memory"
    return refusal_in_words(str(error))
