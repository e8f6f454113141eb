"""A case is added to a training set: whole or not at all, and without a word about the patient."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from GDLACore.atomic import unwritable
from GDLACore.errors import OutputError
from GDLACore.imaging.nrrd_file import write_nrrd
from GDLACore.imaging.seg_nrrd import model_tag, segmentation_header
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import Label, ModelCard
from GDLACore.owned_folder import OwnedFolder, clear_abandoned
from GDLACore.training_set.case import (
    DESCRIPTION,
    IMAGE,
    SEGMENTATION,
    CorrectedCase,
    Ranges,
    described,
    is_in_order,
    read_case,
)

_UNFINISHED = ".gdla-case-"


def _ignore(done: int, total: int) -> None:
    pass


def add_case(
    folder: str | os.PathLike[str],
    volume: Volume,
    labels: np.ndarray,
    structures: Sequence[Label],
    card: ModelCard,
    *,
    patient: str,
    axis: int,
    reviewed: Ranges | None,
    on_progress: Callable[[int, int], None] = _ignore,
) -> CorrectedCase:
    """Add the image ``volume`` with its ``labels`` [k, j, i], values of ``card``, to ``folder``.

    ``structures`` are those of the card that the labels tell about: one without a voxel is not in
    the image, one that is not among them may be. ``patient`` is a pseudonym of ``pseudonym()``.
    ``reviewed`` are the slices a <= n < b along array axis ``axis`` that are right, None for all.

    Nothing is written but voxels, geometry, what the card says of the structures, and these
    arguments: of ``volume`` not its name. The case gets a random name, and its folder appears
    when all is written. ``on_progress`` hears of done and all bytes; what it raises ends the
    writing. Raises OutputError if the folder cannot be written to.
    """
    folder = Path(folder)
    if labels.shape != volume.shape:
        raise ValueError(f"labels {labels.shape} are not on the grid {volume.shape}")
    if reviewed is not None and not (
        is_in_order(reviewed) and reviewed[-1][1] <= volume.shape[axis]
    ):
        raise ValueError(f"{reviewed} are no ranges of {volume.shape[axis]} slices")
    if not folder.is_dir():
        raise OutputError(
            f"The folder {folder} of the training set does not exist.",
            "Create it, or choose another folder.",
        )
    labels = labels.astype(np.uint8 if card.classes <= 256 else np.uint16, copy=False)
    total = volume.array.nbytes + labels.nbytes
    try:
        with _draft(folder) as draft:
            with _file(draft / IMAGE) as file:
                write_nrrd(
                    file,
                    volume.array,
                    volume.ijk_to_ras,
                    {},
                    lambda done, _: on_progress(done, total),
                )
            with _file(draft / SEGMENTATION) as file:
                header = segmentation_header(card, structures, volume)
                write_nrrd(
                    file,
                    labels,
                    volume.ijk_to_ras,
                    header,
                    lambda done, _: on_progress(volume.array.nbytes + done, total),
                )
            with _file(draft / DESCRIPTION) as file:
                file.write(described(patient, model_tag(card), axis, reviewed).encode())
            case = _unused(folder)
            draft.rename(case)
    except OSError as error:
        raise unwritable(folder, error) from error
    return read_case(case)


@contextmanager
def _draft(folder: Path) -> Iterator[Path]:
    """Yield a new folder in ``folder`` that nobody takes for a case, and remove what is left of it.

    What a writer that was killed has left is removed by the next.
    """
    clear_abandoned(folder, _UNFINISHED)
    owned = OwnedFolder(folder, _UNFINISHED)
    try:
        # A folder in it, for the owned one is private to the user, and the case need not be.
        draft = owned.path / "case"
        draft.mkdir()
        yield draft
    finally:
        owned.remove()


@contextmanager
def _file(path: Path) -> Iterator[BinaryIO]:
    """Yield the new file ``path``; have the system store it, so that late errors come in time."""
    with path.open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _unused(folder: Path) -> Path:
    while (case := folder / f"case-{secrets.token_hex(4)}").exists():
        pass
    return case
