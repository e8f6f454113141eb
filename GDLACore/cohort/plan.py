"""Which studies there are: image files, and the image series of DICOM folders."""

from __future__ import annotations

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from GDLACore.cohort.files import MANIFEST, SETTINGS
from GDLACore.cohort.names import with_names
from GDLACore.errors import GDLAError, VolumeError
from GDLACore.imaging.data_files import data_files
from GDLACore.imaging.dicom import find_series
from GDLACore.imaging.dicom_header import Header, is_dicom

_LOG = logging.getLogger(__name__)

VOLUME_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")

_SEGMENTATION = ".seg.nrrd"
_HEADERS = (".nhdr", ".mhd", ".hdr")  # of which the pixels may be in files of their own
_TOLD = 3  # examples in a message

SPREAD = "Other folders hold images of the same DICOM series: this may be a part of it."


@dataclass(frozen=True)
class Study:
    """One image to segment.

    ``name`` tells it from all others and is a relative path with ``/``, made of the names of files
    and folders, never of what is in them. ``path`` is absolute: a file, or a folder of DICOM files,
    of which ``files`` are the names of those that make up the series. ``series`` is the series'
    number as ``gdla segment --series`` takes it, None if it is the only one: it changes when others
    join or go. ``series_sha256``, a hash of its UID, does not; None if that tells it from no other,
    or is not known. ``warnings`` belong to what becomes of the study. ``damage`` says why a folder
    could not be looked into: it is to fail, and has no ``files``.
    """

    name: str
    path: Path
    series: str | None = None
    files: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    series_sha256: str | None = None
    damage: str = ""


def find_studies(
    inputs: Sequence[Path],
    *,
    leave_out: Path | None = None,
    suffixes: Sequence[str] = VOLUME_SUFFIXES,
    on_folder: Callable[[int], None] = lambda found: None,
) -> list[Study]:
    """Return the studies in ``inputs``, files and folders, in an order that is always the same.

    A file that is named is a study, whatever it is. Of folders, and all folders in them, these are:
    files that end with one of ``suffixes``, and every DICOM series that holds images. What is
    neither is left out, with a warning, and so are folders of a cohort's results; without one, all
    in the folder ``leave_out``. What cannot be read is a study that will fail. The part of a series
    in one folder is a study: if the series lies in several, that is among its warnings.
    ``on_folder`` is called with the number of studies so far.

    Raises VolumeError if an input does not exist, or there is no study.
    """
    search = _Search(None if leave_out is None else leave_out.resolve(), tuple(suffixes))
    paths = [Path(os.path.abspath(path)) for path in inputs]
    for path in paths:
        if not path.exists():
            raise VolumeError(f"There is no file or folder {path}.", "Check the path.")
        for _ in search.below(path) if path.is_dir() else search.file(path):
            on_folder(len(search.found))
    search.warn()
    if not search.found:
        raise VolumeError(
            f"There is no image in {paths[0] if len(paths) == 1 else 'any of the folders'}.",
            f"Give DICOM folders, or files that end with {', '.join(VOLUME_SUFFIXES)}.",
        )
    return [search.completed(study) for study in with_names(search.found, paths, Study)]


def why_unreadable(error: OSError, path: Path) -> VolumeError:
    """Return what to say when ``path``, or a file in it, cannot be read."""
    return VolumeError(
        f"{error.filename or path} cannot be read: {error.strerror or error}.",
        "Check that it exists, and that you may read it.",
    )


class _Search:
    """Walks through folders and keeps what it finds: path, number of the series, and its files."""

    def __init__(self, leave_out: Path | None, suffixes: tuple[str, ...]) -> None:
        self.found: dict[tuple[Path, str | None], tuple[str, ...]] = {}
        self._leave_out = leave_out
        self._suffixes = suffixes
        self._seen: set[Path] = set()
        self._odd: list[Path] = []
        self._results: list[Path] = []
        self._uids: dict[tuple[Path, str | None], str] = {}
        self._hashes: dict[tuple[Path, str | None], str | None] = {}
        self._damage: dict[tuple[Path, str | None], str] = {}
        self._folders_of_series: Counter[str] = Counter()
        self._spread: list[Path] = []

    def file(self, path: Path) -> Iterator[None]:
        self.found.setdefault((path, None), ())
        yield

    def below(self, folder: Path) -> Iterator[None]:
        """Search ``folder`` and all in it; the caller has its turn after each of them."""
        # Links are followed, for data sets are often made of them; but into no circle.
        for root, names, files in os.walk(folder, onerror=self._unreadable, followlinks=True):
            place = Path(root).resolve()
            if self._leave_out in (place, *place.parents) or place in self._seen:
                names.clear()
                continue
            self._seen.add(place)
            if {SETTINGS, MANIFEST} <= set(files):
                self._results.append(Path(root))
                names.clear()
                continue
            names[:] = sorted(name for name in names if not name.startswith("."))
            self._look_into(Path(root), sorted(n for n in files if not n.startswith(".")))
            yield

    def _look_into(self, folder: Path, names: list[str]) -> None:
        images = [folder / name for name in names if self._is_image(name)]
        others = [folder / name for name in names if not self._is_image(name)]
        for path in images:
            self.found.setdefault((path, None), ())
        dicom, unreadable = [], []
        for path in others:
            try:
                if is_dicom(path):
                    dicom.append(path)
            except OSError:
                unreadable.append(path)
        if unreadable:
            # A series may lack them, and they may be all of one: that must not go unnoticed.
            names_ = tuple(path.name for path in sorted([*dicom, *unreadable]))
            self.found.setdefault((folder, None), names_)
        elif dicom and not self._add_series(folder):
            return  # nobody knows what in it is no image
        belonging = {data for path in images for data in _data_of(path)}
        known = {*dicom, *unreadable, *belonging}
        self._odd += [path for path in others if path not in known]

    def _is_image(self, name: str) -> bool:
        lower = name.lower()
        return lower.endswith(self._suffixes) and not lower.endswith(_SEGMENTATION)

    def _unreadable(self, error: OSError) -> None:
        """Make a study of a folder that cannot be looked into: it fails, and is not forgotten."""
        self._add_damaged(Path(os.fsdecode(error.filename)), error)

    def _add_damaged(self, folder: Path, error: OSError | VolumeError) -> None:
        reason = why_unreadable(error, folder) if isinstance(error, OSError) else error
        self.found.setdefault((folder, None), ())
        self._damage[folder, None] = str(reason)

    def _add_series(self, folder: Path) -> bool:
        """Add the series in ``folder``; return whether all files in it could be looked into."""
        try:
            all_series = find_series(folder)
        except (OSError, VolumeError) as error:
            # Nobody knows which series it is that lacks an image.
            self._add_damaged(folder, error)
            return False
        hashes = _series_hashes(all_series)
        for number, headers in enumerate(all_series, start=1):
            only = len(all_series) == 1
            key = folder, None if only else str(number)
            self.found.setdefault(key, tuple(header.path.name for header in headers))
            self._uids[key] = _uid(headers)
            self._hashes[key] = hashes[number - 1]
        for uid in {_uid(headers) for headers in all_series} - {""}:
            self._folders_of_series[uid] += 1
            if self._folders_of_series[uid] == 2:
                self._spread.append(folder)
        return True

    def completed(self, study: Study) -> Study:
        """Return ``study`` with what was found out about it beside its files."""
        key = study.path, study.series
        return replace(
            study,
            warnings=(SPREAD,) if self._folders_of_series[self._uids.get(key, "")] > 1 else (),
            series_sha256=self._hashes.get(key),
            damage=self._damage.get(key, ""),
        )

    def warn(self) -> None:
        """Say what was left out, and what may not be whole."""
        if self._results:
            count = f"{len(self._results)} folders" if len(self._results) > 1 else "1 folder"
            _LOG.warning("%s of earlier results left out: %s.", count, _some(self._results))
        if self._odd:
            count = f"{len(self._odd)} files are" if len(self._odd) > 1 else "1 file is"
            _LOG.warning("%s no image and left out: %s.", count, _some(self._odd))
        if self._spread:
            _LOG.warning(
                "%d DICOM series lie in more than one folder, and each folder's part is a study "
                "of its own: see %s.",
                len(self._spread),
                _some(self._spread),
            )


def _uid(headers: Sequence[Header]) -> str:
    """Return what tells the series from others; "" for a film, of which each is a series."""
    return "" if headers[0].frames > 1 else headers[0].series_uid


def _series_hashes(all_series: Sequence[Sequence[Header]]) -> list[str | None]:
    """Return a hash for each series of a folder; None for those that no UID tells from others."""
    uids = [
        headers[0].instance_uid if headers[0].frames > 1 else headers[0].series_uid
        for headers in all_series
    ]
    times = Counter(uids)
    return [
        hashlib.sha256(uid.encode("utf-8")).hexdigest() if uid and times[uid] == 1 else None
        for uid in uids
    ]


def _data_of(path: Path) -> list[Path]:
    if not path.name.lower().endswith(_HEADERS):
        return []
    try:
        return data_files(path)
    except (OSError, GDLAError):  # reading it will say what is wrong
        return []


def _some(paths: Sequence[Path]) -> str:
    names = ", ".join(map(str, paths[:_TOLD]))
    return names if len(paths) <= _TOLD else f"{names}, …"
