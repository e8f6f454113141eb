"""Whether every byte of a model file is as it should be."""

from __future__ import annotations

import hashlib
from pathlib import Path

from GDLACore.errors import ModelFileError
from GDLACore.model.file_access import AGAIN, opened
from GDLACore.model.onnx_file import check_onnx_file
from GDLACore.storage.checks import remember
from GDLACore.storage.control import Control
from GDLACore.storage.model import StoredModel
from GDLACore.weights.loading import load_weights

_CHUNK = 1 << 20


def check_model(model: StoredModel, control: Control | None = None) -> None:
    """Read all of ``model``, which must be on this computer, and remember what was found.

    Raises ModelFileError if it is damaged; Cancelled.
    """
    if model.path is None:
        raise ModelFileError(f"{model.name} is not on this computer.", "Download or import it.")
    try:
        _check(model, model.path, control or Control())
    except ModelFileError as error:
        if model.path.is_file():
            remember(model.path, error.message)
        raise
    if not model.shipped:
        remember(model.path)


def file_sha256(path: Path, control: Control, phase: str = "checking") -> str:
    """Return the SHA-256 of a file; raise ModelFileError if it cannot be read, or Cancelled."""
    digest, done = hashlib.sha256(), 0
    with opened(path) as file:
        total = path.stat().st_size
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            control.report(phase, done, total)
    return digest.hexdigest()


def _check(model: StoredModel, path: Path, control: Control) -> None:
    control.report("checking", 0)
    expected = model.entry.sha256 if model.entry else None
    if expected is not None and _is_as_published(model, path):
        if file_sha256(path, control) != expected:
            raise ModelFileError(
                f"{path} is damaged or another file: its checksum is not that of {model.name}.",
                AGAIN,
            )
    if path.suffix.lower() == ".onnx":
        check_onnx_file(path)
    else:
        load_weights(path, model.card_name)


def _is_as_published(model: StoredModel, path: Path) -> bool:
    """Return whether the file is the one that the catalogue's checksum is of.

    A model that was imported has been written anew.
    """
    entry = model.entry
    published = Path(entry.file).suffix.lower() if entry and entry.file else ""
    return path.suffix.lower() == published
