"""Which DICOM images a folder holds, and which of them are one series.

Names that begin with a dot are left out: they are other programs' files, or half a copy.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

from GDLACore.errors import VolumeError
from GDLACore.imaging.dicom_header import Header, is_dicom, read_header

_LOG = logging.getLogger(__name__)


def headers_in(folder: Path) -> list[Header]:
    """Return the images in ``folder`` itself; raise VolumeError if it or one cannot be read."""
    try:
        # A link to what is gone is a file that cannot be read.
        files = sorted(
            path
            for path in folder.iterdir()
            if _is_shown(path.name) and (path.is_file() or not path.exists())
        )
    except OSError as error:
        raise VolumeError(
            f"The folder {folder.name} cannot be read.", "Check its permissions."
        ) from error
    return _images_among(files)


def headers_below(folder: Path) -> list[Header]:
    """Return the images in ``folder`` and all folders in it; raise VolumeError for damaged ones."""
    paths: list[Path] = []
    for root, folders, names in os.walk(folder):
        folders[:] = filter(_is_shown, folders)
        paths += (Path(root, name) for name in filter(_is_shown, names))
    return _images_among(sorted(paths))


def headers_of(files: Iterable[Path], name: str) -> list[Header]:
    """Return the images ``files``, of the one series ``name``.

    Raises VolumeError unless each of them is an image, and of that series.
    """
    files = list(files)
    headers = _images_among(files)
    if len(headers) < len(files) or len(series_among(headers)) != 1:
        raise VolumeError(
            f"The files of the series {name} are not, or no longer, the images of one series.",
            "Leave the files as they are from the search to the end, or export the series again.",
        )
    return headers


def series_among(headers: Iterable[Header]) -> list[list[Header]]:
    """Return the images of each series; a file of many frames is a series of its own.

    What calls itself a series is several where patients, studies or frames of reference differ:
    there are programs that give the same UID, or none, to all that they write.
    """
    groups: dict[tuple[int | str, ...], list[Header]] = {}
    for header in headers:
        key = (
            header.series_number,
            header.series_uid,
            header.modality or "",
            str(header.path) if header.frames > 1 else "",
            header.study_uid,
            header.frame_of_reference_uid,
            header.patient,
        )
        groups.setdefault(key, []).append(header)
    return [groups[key] for key in sorted(groups)]


def chosen_series(headers: list[Header], series: str | None, name: str) -> list[Header]:
    """Return the images of the one series, or of ``series``: its place, from 1, or its UID.

    Raises VolumeError, which lists the series, if that is none of them or more than one.
    """
    all_series = series_among(headers)
    meant = [
        images
        for number, images in enumerate(all_series, start=1)
        if series is None or series in (str(number), images[0].series_uid)
    ]
    if len(meant) == 1:
        return meant[0]
    listing = "; ".join(
        f"{number}: {_described(images)}" for number, images in enumerate(all_series, start=1)
    )
    if meant:
        problem = f"{len(meant)} DICOM series" + (" of that UID" if series else "")
    else:
        problem = f"no series {series!r}"
    raise VolumeError(
        f"The folder {name} contains {problem}. There are: {listing}.",
        "Choose one by its number with series=N (--series N on the command line).",
    )


def _is_shown(name: str) -> bool:
    return not name.startswith(".")


def _images_among(paths: Iterable[Path]) -> list[Header]:
    headers, others = [], []
    for path in paths:
        if not is_dicom(path):
            others.append(path)
            continue
        header = read_header(path)
        if header is None:
            _LOG.info("%s holds no image and is left out", path.name)
        else:
            headers.append(header)
    _check_others(others, headers)
    return headers


def _check_others(others: list[Path], headers: list[Header]) -> None:
    """Raise VolumeError if one of ``others``, which are no DICOM files, is an image torn down."""
    kinds = {(header.path.parent, _suffix(header.path)) for header in headers}
    for path in others:
        suffix = _suffix(path)
        if (path.parent, suffix) not in kinds:
            continue
        # Without a suffix it may be anything, but what is all zeros, as DICOM begins, is not.
        if suffix or _begins_with_zeros(path):
            raise VolumeError(
                f"{path.name} is damaged or empty: it lies among DICOM images and is none.",
                "Copy or export the series again, or remove the file if it is not a part of it.",
            )


def _suffix(path: Path) -> str:
    """Return the suffix, in small letters; "" for one of digits, as UIDs as names have."""
    suffix = path.suffix.lower()
    return "" if suffix[1:].isdigit() else suffix


def _begins_with_zeros(path: Path) -> bool:
    with path.open("rb") as file:
        return not file.read(128).strip(b"\0")


def _described(headers: list[Header]) -> str:
    first = headers[0]
    files = f"{len(headers)} file{'s' if len(headers) > 1 else ''}"
    frames = f" of {first.frames} frames" if first.frames > 1 else ""
    size = f"{first.shape[1]}x{first.shape[0]}"
    description = f' "{first.description}"' if first.description else ""
    return f"{first.modality or 'unknown modality'}{description}, {files}{frames}, {size}"
