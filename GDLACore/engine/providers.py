"""On which processor a network runs: found out by running it, not by a list."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from GDLACore.engine.accelerators import CUDA_OPTIONS, Accelerator, accelerators
from GDLACore.engine.native_output import captured_output
from GDLACore.engine.refusal import error_in_words, refusal_in_words
from GDLACore.engine.remedy import remedy
from GDLACore.engine.runtime import onnx_runtime
from GDLACore.engine.session_options import session_options
from GDLACore.errors import DeviceError, EngineError, GDLAError

if TYPE_CHECKING:
    import onnxruntime

_log = logging.getLogger(__name__)

DEVICES = ("auto", "cpu", "cuda", "directml", "coreml", "openvino", "tensorrt")

_CPU = "CPUExecutionProvider"

# As a part of the CPU's largest logit, and of the pixels: half precision stays within both, a
# driver that computes something else does not.
_TOLERANCE = 0.02
_SAME_LABELS = 0.995

# Below this gain in speed the CPU is kept: which of two equals wins would change from day to day,
# and with it the last digits of the results.
_GAIN = 1.3
_TRIALS = 3

# Nearly all of the network's arithmetic, whatever it has been fused with.
_LARGE = ("Conv", "MatMul", "Gemm")

Probe = Callable[["onnxruntime.InferenceSession"], np.ndarray]


@dataclass(frozen=True, eq=False)
class OpenedSession:
    """A session that has run one slice and given the right result.

    ``provider`` is ONNX Runtime's name of what it runs on, ``device`` that in words, such as
    "GPU (CUDA)" or "CPU (4 threads)"; ``on_gpu`` is whether it is a GPU, for OpenVINO may run on
    the CPU, where batches gain nothing. ``reason`` says why it is not the one that was wanted, such
    as "CUDA asked for, libcudnn.so.9 missing"; "" if it is.
    """

    session: onnxruntime.InferenceSession
    provider: str
    device: str
    on_gpu: bool
    reason: str

    @property
    def description(self) -> str:
        """Return the device and why it is this one, as ``Engine.describe`` does."""
        return f"{self.reason}: running on {self.device}" if self.reason else self.device

    @property
    def concurrent(self) -> bool:
        """Return whether several threads may run the session at a time: DirectML forbids it."""
        return self.provider != "DmlExecutionProvider"


class _RefusedError(Exception):
    """A processor was not taken; the message says why, as part of a sentence."""


def open_session(
    model: bytes | Path,
    *,
    device: str = "auto",
    at_a_time: int,
    probe: Probe,
) -> OpenedSession:
    """Open ``model``, an ONNX file or its content, on the fastest processor that gets it right.

    ``probe`` runs one slice with the session it is given and returns its logits [1, classes, h, w];
    it raises if that cannot be done. It is run on the CPU first. A GPU is taken if its
    result is the CPU's, but for rounding, and if it takes clearly less time.
    ``device`` is one of ``DEVICES``: "auto" tries CUDA, DirectML, CoreML and OpenVINO, as far as
    the installed ONNX Runtime knows them, in this order. TensorRT must be asked for: it takes
    minutes to prepare itself for a size of image. Of a GPU asked for by name no speed is demanded;
    if it cannot be used the CPU is, with a warning in the log and a ``reason`` in the result.
    ``at_a_time`` is how many slices the CPU will run side by side, a thread for each, which a GPU
    has to outdo.

    Raises DeviceError for an unknown device, and for one that the installed ONNX Runtime is not
    built for; EngineError if the network cannot be run even on the CPU.
    """
    runtime = onnx_runtime()
    candidates = _candidates(device, at_a_time, runtime)
    cpu, expected = _on_cpu(runtime, model, probe)
    reasons: dict[str, str] = {}
    for candidate in candidates:
        try:
            session = _on_accelerator(runtime, model, candidate)
            _check_result(np.asarray(probe(session)), expected)
            if device == "auto":
                _check_speed(probe, session, cpu, at_a_time)
        except Exception as error:  # drivers have many kinds; there is the CPU to go on with
            wish = "not used" if device == "auto" else "asked for"
            why = str(error) if isinstance(error, _RefusedError) else error_in_words(error)
            reasons[candidate.device] = f"{candidate.name} {wish}, {why}"
            _log.debug("%s", reasons[candidate.device], exc_info=True)
        else:
            reasons.pop(candidate.device, None)  # it is used, though on another processor
            why = "; ".join(reasons.values())
            return OpenedSession(
                session, candidate.provider, candidate.title, candidate.on_gpu, why
            )
    title = f"CPU ({at_a_time} thread{'s' if at_a_time != 1 else ''})"
    opened = OpenedSession(cpu, _CPU, title, False, "; ".join(reasons.values()))
    if reasons and device != "auto":
        _log.warning("%s.", opened.description)
    return opened


def _candidates(device: str, threads: int, runtime: ModuleType) -> list[Accelerator]:
    """Return what is to be tried before the CPU, best first."""
    if device not in DEVICES:
        raise DeviceError(f"Unknown device {device!r}.", f"Choose one of: {', '.join(DEVICES)}.")
    if device == "cpu":
        return []
    wanted = [
        accelerator
        for accelerator in accelerators(threads)
        if accelerator.device == device or (device == "auto" and accelerator.device != "tensorrt")
    ]
    offered = runtime.get_available_providers()
    here = [accelerator for accelerator in wanted if accelerator.provider in offered]
    if device != "auto" and not here:
        raise DeviceError(
            f"The installed ONNX Runtime {runtime.__version__} is built without {wanted[0].name}.",
            remedy(wanted[0]),
        )
    return here


def _on_cpu(
    runtime: ModuleType, model: bytes | Path, probe: Probe
) -> tuple[onnxruntime.InferenceSession, np.ndarray]:
    """Return a session on the CPU, and what ``probe`` gives there."""
    try:
        session = _session(runtime, model, session_options(runtime), [_CPU])
        result = np.asarray(probe(session))
    except GDLAError:
        raise
    except MemoryError as error:
        raise EngineError(
            "There is not enough memory to load the network.", "Close other programs and try again."
        ) from error
    except Exception as error:  # ONNX Runtime has an exception for each of its error codes
        subject = model if isinstance(model, Path) else "the network"
        raise EngineError(
            f"ONNX Runtime {runtime.__version__} cannot run {subject}: "
            f"{refusal_in_words(str(error))}.",
            "Update the installed ONNX Runtime, or export the model again.",
        ) from error
    if not np.isfinite(result).all():
        raise EngineError(
            "The network's results are not finite numbers.",
            "The model file may be damaged; get it again.",
        )
    return session, result


def _on_accelerator(
    runtime: ModuleType, model: bytes | Path, candidate: Accelerator
) -> onnxruntime.InferenceSession:
    """Return a session on ``candidate``; raise if ONNX Runtime gives another instead."""
    providers = [(candidate.provider, dict(candidate.options)), _CPU]
    if candidate.device == "tensorrt":
        providers.insert(1, ("CUDAExecutionProvider", dict(CUDA_OPTIONS)))
    # DirectML plans memory itself, and refuses a session that does, too.
    options = session_options(runtime, plans_memory=candidate.device != "directml")
    if candidate.device in ("cuda", "tensorrt"):
        with captured_output():  # of libraries that it may do without, too
            runtime.preload_dlls()  # those of an installed PyTorch, or of NVIDIA's packages
    with captured_output() as printed:
        try:
            session = _session(runtime, model, options, providers)
        except Exception as error:
            raise _RefusedError(refusal_in_words(f"{printed()}\n{error}")) from error
        text = printed()
    if session.get_providers()[0] != candidate.provider:
        raise _RefusedError(refusal_in_words(text))
    _check_share(session, candidate.provider)
    return session


def _session(
    runtime: ModuleType,
    model: bytes | Path,
    options: onnxruntime.SessionOptions,
    providers: list[str | tuple[str, dict[str, str]]],
) -> onnxruntime.InferenceSession:
    # By default it answers a failure, with a few lines on stdout, by going to the CPU.
    session = runtime.InferenceSession(model, options, providers=providers, enable_fallback=0)
    # For this fallback alone it keeps the model's bytes, a second copy of all weights.
    session._model_bytes = None
    return session


def _check_share(session: onnxruntime.InferenceSession, provider: str) -> None:
    """Raise if most of the arithmetic is left to the CPU, for want of a library or of operators."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return  # ONNX Runtime before 1.24
    large = [
        part.ep_name
        for part in session.get_provider_graph_assignment_info()
        for node in part.get_nodes()
        if any(kind in node.op_type for kind in _LARGE)
    ]
    left = len(large) - large.count(provider)
    if 2 * left > len(large):
        raise _RefusedError(f"it leaves {left} of {len(large)} large operations to the CPU")


def _check_result(result: np.ndarray, expected: np.ndarray) -> None:
    """Raise if ``result`` is not the CPU's ``expected``, which happens with bad drivers."""
    if not np.isfinite(result).all():
        raise _RefusedError("its results are not finite numbers")
    if result.shape != expected.shape:
        raise _RefusedError("its results are of another size")
    same = (result.argmax(axis=1) == expected.argmax(axis=1)).mean()
    if np.abs(result - expected).max() > _TOLERANCE * np.abs(expected).max() or same < _SAME_LABELS:
        raise _RefusedError("its results are wrong")


def _check_speed(
    probe: Probe,
    session: onnxruntime.InferenceSession,
    cpu: onnxruntime.InferenceSession,
    at_a_time: int,
) -> None:
    """Raise if ``session`` gains little over the CPU; both have run and prepared what they need."""
    times = [(_seconds(probe, session), _seconds(probe, cpu) / at_a_time) for _ in range(_TRIALS)]
    here, there = map(min, zip(*times, strict=True))  # the least disturbed
    if here * _GAIN > there:
        raise _RefusedError(f"too slow ({here:.2g} s a slice, the CPU {there:.2g} s)")


def _seconds(probe: Probe, session: onnxruntime.InferenceSession) -> float:
    start = time.perf_counter()
    probe(session)
    return time.perf_counter() - start
