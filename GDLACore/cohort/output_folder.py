"""The folder of a cohort's results: one run at a time, and one way to segment for all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path

from GDLACore.atomic import unwritable
from GDLACore.cohort.changed import all_set_aside, set_aside
from GDLACore.cohort.files import (
    LOCK,
    MANIFEST,
    PICTURES,
    SEGMENTATIONS,
    SETTINGS,
    make_folder,
    picture_of,
)
from GDLACore.cohort.identity import (
    Identity,
    differences,
    identity,
    read_identity,
    write_identity,
)
from GDLACore.cohort.manifest import read_manifest, write_manifest
from GDLACore.cohort.settings import BatchSettings
from GDLACore.errors import OutputError
from GDLACore.file_lock import lock
from GDLACore.model.card import ModelCard

_PART = re.compile(r"\.[0-9a-f]{16}\.part")  # what GDLACore.atomic writes to


def check_inputs(folder: Path, paths: Iterable[Path]) -> None:
    """Raise OutputError if one of ``paths`` is ``folder``, or lies in it: it could be replaced."""
    results = folder.resolve()
    for path in paths:
        place = path.resolve()
        if place == results:
            raise OutputError(f"{folder} is an input.", "Choose another folder for the results.")
        if results in place.parents:
            raise OutputError(
                f"The input {path} lies in {folder}, where results are replaced.",
                "Choose another folder for the results.",
            )


@contextmanager
def open_output(settings: BatchSettings, card: ModelCard, *, overwrite: bool) -> Iterator[Path]:
    """Hold the folder of the results, made if need be, for as long as the ``with`` block lasts.

    What a killed run left half-written is cleared away. ``overwrite`` allows to remove the results
    of other settings, all that the manifest names; what somebody changed is renamed. Raises
    OutputError if another run has the folder, if it holds something else, or results of other
    settings.
    """
    folder = settings.output
    make_folder(folder)
    try:
        file = (folder / LOCK).open("ab")
    except OSError as error:
        raise unwritable(folder, error) from error
    with file:
        if not lock(file):
            raise OutputError(
                f"Another run is writing to {folder}.",
                "Wait until it has ended, or choose another folder. If there is none, the disk "
                "cannot lock files: choose a folder on another one.",
            )
        try:
            _agree(folder, identity(settings, card), overwrite=overwrite)
            _clear_parts(folder)
        except OSError as error:
            raise unwritable(folder, error) from error
        yield folder


def _agree(folder: Path, now: Identity, *, overwrite: bool) -> None:
    """See to it that all results in ``folder`` are, and will be, made as ``now`` says."""
    try:
        before = read_identity(folder / SETTINGS)
    except OutputError:
        if not overwrite:
            raise
        before = None
    if before is not None and not differences(before, now):
        if now["file_sha256"] and not before["file_sha256"]:
            write_identity(folder / SETTINGS, now)  # from here on it must be this one
        return
    if before is not None and not overwrite and not _is_unused(folder):
        raise OutputError(
            f"The results in {folder} were made with other settings: "
            f"{differences(before, now)} changed.",
            "Choose another folder, or allow to replace all results in it (--force).",
        )
    if before is None and not overwrite and not all(map(_is_ours, folder.iterdir())):
        raise OutputError(
            f"The folder {folder} is not empty, and does not hold results of gdla batch.",
            "Choose another folder, or allow to use this one (--force).",
        )
    _remove_results(folder)
    write_identity(folder / SETTINGS, now)


def _is_unused(folder: Path) -> bool:
    """Return whether no study was begun in ``folder``, as if a run could not reach its cluster."""
    manifest = folder / MANIFEST
    recorded = manifest.exists() and manifest.stat().st_size > 0
    return not recorded and not (folder / SEGMENTATIONS).exists()


def _is_ours(path: Path) -> bool:
    """Return whether ``path`` is there before the settings of the first run are."""
    return path.name == LOCK or _PART.fullmatch(path.name) is not None


def _remove_results(folder: Path) -> None:
    """Remove what the manifest names, but what somebody changed, and the manifest last.

    Of studies with a changed result it goes on to tell which they are, so that no other gets their
    names. Killed before that, it is done again.
    """
    records = read_manifest(folder / MANIFEST).values()
    for record in records:
        if record.output is not None:
            set_aside(folder, record)
            _remove(folder, SEGMENTATIONS, record.output)
        _remove(folder, PICTURES, picture_of(record.name))
    aside = all_set_aside(folder)
    if corrected := [one.without_result() for one in records if one.name in aside]:
        write_manifest(folder / MANIFEST, corrected)
    else:
        (folder / MANIFEST).unlink(missing_ok=True)


def _remove(folder: Path, below: str, relative: str) -> None:
    """Remove a file below ``folder / below``, and nothing that lies elsewhere."""
    path = folder / relative
    if (folder / below).resolve() in path.resolve().parents:
        path.unlink(missing_ok=True)


def _clear_parts(folder: Path) -> None:
    found = [folder.glob(".*.part")]
    found += [(folder / below).rglob(".*.part") for below in (SEGMENTATIONS, PICTURES)]
    for path in chain.from_iterable(found):
        if _PART.fullmatch(path.name):
            with suppress(OSError):
                path.unlink()
