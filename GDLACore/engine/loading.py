"""From a model's name or file to a running engine."""

from __future__ import annotations

import importlib.util
import logging
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from GDLACore.engine.accelerators import accelerators
from GDLACore.engine.base import SliceEngine
from GDLACore.engine.gpu_memory import free_gpu_memory
from GDLACore.engine.onnx_engine import OnnxEngine
from GDLACore.engine.protocol import Engine
from GDLACore.engine.refusal import error_in_words
from GDLACore.engine.runtime import onnx_runtime
from GDLACore.errors import EngineError, ModelFileError
from GDLACore.export.model_file import onnx_model
from GDLACore.model.catalogue import model_file
from GDLACore.model.onnx_file import check_onnx_file
from GDLACore.weights.card_choice import agreed_card
from GDLACore.weights.loading import ModelWeights, load_weights

if TYPE_CHECKING:
    from GDLACore.remote import RemoteServer

_log = logging.getLogger(__name__)

RUNTIMES = ("auto", "onnx", "torch")


def load_engine(
    model: str | Path,
    *,
    device: str = "auto",
    card: str | Path | None = None,
    runtime: str = "auto",
    threads: int | None = None,
    server: RemoteServer | None = None,
) -> Engine:
    """Return an engine for ``model``: a catalogue name ("demo-ct"), a checkpoint or an ONNX file.

    ``device`` is one of ``GDLACore.engine.DEVICES``. ``card`` is a name of the catalogue or
    the path of a card's ``.json`` file, for a checkpoint that carries none, such as the authors'
    ``.ckpt``; for files with their own card, a file that describes the same network.
    ``runtime``: "onnx", "torch", or "auto", which is ONNX Runtime unless only PyTorch can use the
    NVIDIA GPU that is there.
    ``threads``: how many slices a CPU works on at a time, None for one on each core.
    ``server`` runs the network, if given: see ``GDLACore.remote.opening``. The model need not be on
    this computer then; device, runtime and threads are those of going on without the server.

    Raises ModelFileError for a model that cannot be used, DeviceError for a device that is not
    there, EngineError if a package is missing or the model cannot be run, ServerError for a server
    that cannot be used.
    """
    _check_runtime(runtime)
    if server is not None:
        # Only here: that needs this function to go on without the server.
        from GDLACore.remote.opening import open_remote_engine

        choice = {"device": device, "runtime": runtime, "threads": threads}
        return open_remote_engine(model, server, card=card, **choice)
    path = model_file(model)
    if path.suffix.lower() == ".onnx":
        if runtime == "torch":
            raise ModelFileError(
                f"{path} is an ONNX file, which PyTorch cannot run.",
                "Leave out the runtime, or give the checkpoint that it was made from.",
            )
        found = agreed_card(check_onnx_file(path), card, path)
        return OnnxEngine(path, found, device, threads)
    return engine_for(load_weights(path, card), device=device, runtime=runtime, threads=threads)


def engine_for(
    model: ModelWeights, *, device: str = "auto", runtime: str = "auto", threads: int | None = None
) -> Engine:
    """Return an engine for weights that are read already; all else is as for ``load_engine``."""
    _check_runtime(runtime)
    if runtime == "torch":
        return _torch_engine(model, device, threads)
    if runtime == "auto" and _only_torch_has_the_gpu(device):
        if engine := _engine_on_torchs_gpu(model, threads):
            return engine
        device = "auto"
    content, card = onnx_model(model), model.card
    del model  # a second copy of all weights
    return OnnxEngine(content, card, device, threads)


def _check_runtime(runtime: str) -> None:
    if runtime not in RUNTIMES:
        raise ValueError(f"runtime must be one of {', '.join(RUNTIMES)}, not {runtime!r}")


def _only_torch_has_the_gpu(device: str) -> bool:
    """Return whether PyTorch, which takes seconds to import, is worth it for ``device``."""
    if device not in ("auto", "cuda") or importlib.util.find_spec("torch") is None:
        return False
    if set(onnx_runtime().get_available_providers()) & {one.provider for one in accelerators(1)}:
        return False
    if free_gpu_memory() is None:  # no driver, no GPU
        return False
    try:
        import torch
    except (ImportError, OSError) as error:  # half installed: there is the other runtime
        _log.warning("PyTorch is installed but cannot be loaded: %s", error)
        return False
    return torch.cuda.is_available()


def _engine_on_torchs_gpu(model: ModelWeights, threads: int | None) -> Engine | None:
    """Return an engine that has run a slice on the GPU; None, with a warning, if it cannot."""
    try:
        with ExitStack() as unless_it_works:
            engine = unless_it_works.enter_context(_torch_engine(model, "cuda", threads))
            engine.warm_up()  # whether it can use the GPU shows only when it does
            if not engine.on_cpu:  # to which it goes, with a warning, if memory is short
                unless_it_works.pop_all()
                return engine
    except Exception as error:  # of many kinds, and there is the other runtime
        _log.warning(
            "PyTorch cannot use the GPU (%s): going on with ONNX Runtime.", error_in_words(error)
        )
    return None


def _torch_engine(model: ModelWeights, device: str, threads: int | None) -> SliceEngine:
    try:
        from GDLACore.engine.torch_engine import TorchEngine
        from GDLACore.network.checkpoint import network_of
    except ImportError as error:
        raise EngineError(
            f"Running a model in PyTorch needs a package that is not installed ({error.name}).",
            "Install torch, timm and safetensors with pip, or leave out the runtime.",
        ) from error
    except OSError as error:
        raise EngineError(
            f"PyTorch is installed but cannot be loaded: {error}.",
            "Install it again, or leave out the runtime.",
        ) from error
    return TorchEngine(network_of(model), model.card, device, threads)
