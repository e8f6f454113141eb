"""Names for the studies of a cohort: short, unique on every file system, the same every time."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import TypeVar

T = TypeVar("T")

# Other dots belong to a name: exported DICOM files are often called by numbers with dots.
_SUFFIXES = (
    *(".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".dcm"),
    *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"),
)

Found = Mapping[tuple[Path, "str | None"], tuple[str, ...]]
Maker = Callable[[str, Path, "str | None", tuple[str, ...]], T]


def with_names(found: Found, inputs: Sequence[Path], study: Maker[T]) -> list[T]:
    """Return ``study(name, path, series, files)`` for each of ``found``, in the order of paths.

    A name is the path from the folder that all ``inputs`` have in common, or from the one input
    that is a folder, without the ending of an image's file. Where that is the same for two, if only
    upper and lower case differ, or how accents are stored, the ending stays; where that does not
    help, they are numbered.
    """
    top = _top(inputs)
    keys = sorted(found, key=lambda key: (key[0].parts, int(key[1] or 0)))
    short = [_name(path, series, top, whole=False) for path, series in keys]
    long = [_name(path, series, top, whole=True) for path, series in keys]
    times = Counter(map(key_of, short))
    taken: set[str] = set()
    made = []
    for (path, series), brief, full in zip(keys, short, long, strict=True):
        name = free_name(brief if times[key_of(brief)] == 1 else full, taken)
        made.append((name, path, series, found[path, series]))
    return [study(*one) for one in made]


def key_of(name: str) -> str:
    """Return what is the same for two names that are one file on some file systems."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _top(inputs: Sequence[Path]) -> Path | None:
    """Return the folder that names begin in; None if the inputs lie on several drives."""
    if len(inputs) == 1:
        return inputs[0] if inputs[0].is_dir() else inputs[0].parent
    try:
        return Path(os.path.commonpath([path.parent for path in inputs]))
    except ValueError:
        return None


def _name(path: Path, series: str | None, top: Path | None, *, whole: bool) -> str:
    if top is None:
        relative: PurePath = PurePath(path.drive.strip(":\\/"), *path.parts[1:])
    elif path == top:
        relative = PurePath(path.name or "study")
    else:
        relative = path.relative_to(top)
    text = relative.as_posix()
    if series is not None:
        text = f"{text}/series-{series}"
    return text if whole or path.is_dir() else _without_suffix(text)


def _without_suffix(text: str) -> str:
    suffix = next((one for one in _SUFFIXES if text.lower().endswith(one)), "")
    rest = text.removesuffix(text[len(text) - len(suffix) :])
    return text if rest == "" or rest.endswith("/") else rest


def free_name(name: str, taken: set[str]) -> str:
    """Return ``name``, with a number if need be, and add it to ``taken``, keys of names."""
    number, free = 1, name
    while key_of(free) in taken:
        number += 1
        free = f"{name}-{number}"
    taken.add(key_of(free))
    return free
