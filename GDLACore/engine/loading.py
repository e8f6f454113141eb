"""From a model's name or file to a running engine."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path

from GDLACore.engine.gpu_memory import free_gpu_memory
from GDLACore.engine.onnx_engine import OnnxEngine
from GDLACore.engine.protocol import Engine
from GDLACore.engine.runtime import onnx_runtime
from GDLACore.errors import EngineError, ModelFileError
from GDLACore.export.model_file import onnx_model
from GDLACore.model.catalogue import model_file
from GDLACore.model.onnx_file import check_onnx_file
from GDLACore.weights.loading import load_weights, own_card

_log = logging.getLogger(__name__)

RUNTIMES = ("auto", "onnx", "torch")


def load_engine(
    model: str | Path,
    *,
    device: str = "auto",
    card: str | None = None,
    runtime: str = "auto",
    threads: int | None = None,
) -> Engine:
    """Return an engine for ``model``: a catalogue name ("demo-ct"), a checkpoint or an ONNX file.

    ``device`` is one of ``GDLACore.engine.DEVICES``. ``card`` names the catalogue's card for a
    checkpoint that carries none, such as the authors' ``.ckpt``. ``runtime``: "onnx", "torch", or
    "auto", which is ONNX Runtime unless only PyTorch can use the NVIDIA GPU that is there.
    ``threads``: how many slices a CPU works on at a time, None for one on each core.

    Raises ModelFileError for a model that cannot be used, DeviceError for a device that is not
    there, EngineError if a package is missing or the model cannot be run.
    """
    if runtime not in RUNTIMES:
        raise ValueError(f"runtime must be one of {', '.join(RUNTIMES)}, not {runtime!r}")
    path = model_file(model)
    if path.suffix.lower() == ".onnx":
        if runtime == "torch":
            raise ModelFileError(
                f"{path} is an ONNX file, which PyTorch cannot run.",
                "Leave out the runtime, or give the checkpoint that it was made from.",
            )
        check_onnx_file(path)
        return OnnxEngine(path, own_card(path, card), device, threads)
    if runtime == "torch" or (runtime == "auto" and _only_torch_has_the_gpu(device)):
        return _torch_engine(path, device, card)
    weights = load_weights(path, card)
    return OnnxEngine(onnx_model(weights), weights.card, device, threads)


def _only_torch_has_the_gpu(device: str) -> bool:
    """Return whether PyTorch, which takes seconds to import, is worth it for ``device``."""
    if device not in ("auto", "cuda") or importlib.util.find_spec("torch") is None:
        return False
    if "CUDAExecutionProvider" in onnx_runtime().get_available_providers():
        return False
    if free_gpu_memory() is None:  # no driver, no GPU
        return False
    try:
        import torch
    except (ImportError, OSError) as error:  # half installed: there is the other runtime
        _log.warning("PyTorch is installed but cannot be loaded: %s", error)
        return False
    return torch.cuda.is_available()


def _torch_engine(path: Path, device: str, card: str | None) -> Engine:
    try:
        from GDLACore.engine.torch_engine import TorchEngine
        from GDLACore.network.checkpoint import load_model
    except ImportError as error:
        raise EngineError(
            f"Running a model in PyTorch needs a package that is not installed ({error.name}).",
            'Install it with: pip install "GDLACore[torch]", or leave out the runtime.',
        ) from error
    except OSError as error:
        raise EngineError(
            f"PyTorch is installed but cannot be loaded: {error}.",
            "Install it again, or leave out the runtime.",
        ) from error
    network, found = load_model(path, card)
    return TorchEngine(network, found, device)
