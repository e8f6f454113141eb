"""Taking a model file that a user brings into the model folder, as one ONNX file.

The user's own file is only read. A checkpoint is written anew by the same code as `gdla export`,
so a model in the folder needs no second reading of the checkpoint's format.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from GDLACore.atomic import replacing
from GDLACore.errors import ModelFileError, OutputError
from GDLACore.export.model_file import onnx_model
from GDLACore.model.card import ModelCard
from GDLACore.model.file_access import check_readable, opened
from GDLACore.model.onnx_file import check_onnx_file
from GDLACore.storage.checking import file_sha256
from GDLACore.storage.checks import remember
from GDLACore.storage.control import Control
from GDLACore.storage.examination import Candidate, candidate
from GDLACore.storage.folder import ensure_folder
from GDLACore.weights.card_choice import agreed_card
from GDLACore.weights.loading import load_weights

_CHUNK = 1 << 20
# What a file may be called everywhere, Windows included.
_FILE_NAME = re.compile(r"[\w-][\w.-]{0,63}(?<!\.)", re.ASCII)


@dataclass(frozen=True)
class ImportReport:
    """A model that is in the folder now, at ``path``, and what was found out about it.

    ``was_there`` is whether exactly this model had been in the folder before.
    """

    path: Path
    found: Candidate
    was_there: bool

    @property
    def card(self) -> ModelCard:
        return self.found.card


def import_model(
    source: Path,
    folder: Path,
    *,
    card: str | Path | None = None,
    name: str | None = None,
    control: Control | None = None,
) -> ImportReport:
    """Take the model file ``source`` into ``folder``; the file itself stays where and as it is.

    ``card`` says which model a checkpoint is: a name of the catalogue or a card's file. The new
    file is called ``name``, or after the model, and ends with ``.onnx``.

    Raises ModelFileError if the model cannot be used, OutputError if it cannot be written or
    another model is in the folder under that name; Cancelled, then with nothing written.
    """
    control = control or Control()
    check_readable(source)
    ensure_folder(folder)
    if source.suffix.lower() == ".onnx":
        report = _import_onnx(source, folder, card, name, control)
    else:
        report = _import_checkpoint(source, folder, card, name, control)
    remember(report.path)
    return report


def _import_onnx(
    source: Path, folder: Path, card: str | Path | None, name: str | None, control: Control
) -> ImportReport:
    control.report("reading", 0)
    own = check_onnx_file(source)
    if agreed_card(own, card, source) != own:
        raise ModelFileError(
            f"{source} brings a card of its own, which {card} cannot replace.",
            "Leave out the card, or import the checkpoint that the file was made from.",
        )
    path, found = _place(folder, name or own.name), Candidate(own, None)
    if _is_there(path, file_sha256(source, control), control):
        return ImportReport(path, found, True)
    with replacing(path) as part:
        _copy(source, part, control)
        check_onnx_file(part)  # a drive or a network may have failed on the way
    return ImportReport(path, found, False)


def _import_checkpoint(
    source: Path, folder: Path, card: str | Path | None, name: str | None, control: Control
) -> ImportReport:
    control.report("reading", 0)
    model = load_weights(source, card)
    path, found = _place(folder, name or model.card.name), candidate(model)
    control.report("writing", 0)
    content = onnx_model(model)
    if _is_there(path, hashlib.sha256(content).hexdigest(), control):
        return ImportReport(path, found, True)
    with replacing(path) as part:
        part.write_bytes(content)
        control.check()
    return ImportReport(path, found, False)


def _place(folder: Path, name: str) -> Path:
    if not _FILE_NAME.fullmatch(name):
        raise OutputError(
            f"A model cannot be called {name!r}.", "Use letters, digits, dots, dashes and _."
        )
    return folder / f"{name}.onnx"


def _is_there(path: Path, sha256: str, control: Control) -> bool:
    """Return whether the file is in the folder; raise OutputError if another one is at ``path``."""
    if not path.exists():
        return False
    if file_sha256(path, control) != sha256:
        raise OutputError(
            f"Another model is in the model folder as {path.name} already.",
            "Remove that one first, or give this one another name.",
        )
    return True


def _copy(source: Path, target: Path, control: Control) -> None:
    done, total = 0, source.stat().st_size
    with opened(source) as file, target.open("wb") as copy:
        while chunk := file.read(_CHUNK):
            copy.write(chunk)
            done += len(chunk)
            control.report("copying", done, total)
