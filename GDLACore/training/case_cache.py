"""Volumes unpacked once into files that are mapped into memory, so that none is held there.

A volume's entry is two ``.npy`` files and one of JSON. It is named after the hash of what the case
is made of, so it is never stale; the JSON is written last, so an entry without it does not count.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from GDLACore.atomic import replacing, unwritable
from GDLACore.imaging.volume import Volume
from GDLACore.training.cases import Case

_FORMAT = 2  # to be counted up when a case of equal files is read into other arrays than before


def read_through_cache(
    case: Case, names: tuple[str, ...], folder: Path
) -> tuple[Volume, np.ndarray]:
    """Return what ``case.read(names)`` does, a volume's arrays read-only and mapped from a file.

    A mapped volume is named after the case: cases of equal content share one entry.

    A case of one slice is read from its own files every time: unpacking it costs milliseconds, and
    a copy of a data set of pictures many gigabytes. Raises OutputError if ``folder`` cannot be
    written, else what ``case.read`` raises.
    """
    entry = folder / content_key(case, names)
    if (found := _mapped(entry, case.id)) is not None:
        return found
    volume, classes = case.read(names)
    if 1 in volume.shape:
        return volume, classes
    _store(entry, volume, classes)
    return _mapped(entry, case.id) or (volume, classes)


def content_key(case: Case, names: tuple[str, ...]) -> str:
    """Return a name for what ``case.read(names)`` returns: equal names, equal arrays."""
    about = case.description()
    for bookkeeping in ("patient", "weight", "unknown", "slices", "validation_slices"):
        about.pop(bookkeeping, None)
    made_of = [_FORMAT, type(case).__name__, case.spacing_known, about, names]
    content = json.dumps(made_of, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _store(entry: Path, volume: Volume, classes: np.ndarray) -> None:
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(entry.parent, error) from error
    for kind, array in (("image", volume.array), ("classes", classes)):
        with replacing(_array_file(entry, kind)) as part, part.open("wb") as file:
            np.save(file, array, allow_pickle=False)
    about = {"ijk_to_ras": volume.ijk_to_ras.tolist(), "modality": volume.modality}
    with replacing(entry.with_suffix(".json")) as part:
        part.write_text(json.dumps(about), encoding="utf-8")


def _mapped(entry: Path, name: str) -> tuple[Volume, np.ndarray] | None:
    """Return an entry, its volume called ``name``, None if it is not there as a whole."""
    try:
        about = json.loads(entry.with_suffix(".json").read_text(encoding="utf-8"))
        image, classes = (
            np.load(_array_file(entry, kind), mmap_mode="r", allow_pickle=False)
            for kind in ("image", "classes")
        )
    except (OSError, ValueError):
        return None
    return Volume(image, np.array(about["ijk_to_ras"]), name, about["modality"]), classes


def _array_file(entry: Path, kind: str) -> Path:
    return entry.with_name(f"{entry.name}-{kind}.npy")
