"""From a model's name or file to a running engine."""

from __future__ import annotations

from pathlib import Path

from GDLACore.engine.protocol import Engine
from GDLACore.errors import EngineError


def load_engine(model: str | Path, *, device: str = "auto", card: str | None = None) -> Engine:
    """Return an engine for ``model``: a catalogue name ("demo-ct") or a checkpoint file.

    ``device`` is "auto", "cpu" or "cuda". ``card`` names the catalogue's card for a checkpoint that
    carries none, such as the authors' ``.ckpt``.

    Raises ModelFileError for a model that cannot be used, DeviceError for a device that is not
    there, EngineError if PyTorch is not installed.
    """
    try:
        from GDLACore.engine.torch_engine import TorchEngine
        from GDLACore.network.checkpoint import load_model
    except ImportError as error:
        raise EngineError(
            f"Running a model needs a package that is not installed ({error.name}).",
            'Install it with: pip install "GDLACore[torch]".',
        ) from error
    network, found_card = load_model(model, card)
    return TorchEngine(network, found_card, device)
