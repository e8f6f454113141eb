"""The builds of ONNX Runtime on the disk: each in a folder of its own, whole or not there."""

from __future__ import annotations

import re
import secrets
import shutil
import threading
import time
from contextlib import suppress
from pathlib import Path

from GDLACore.errors import InstallationError
from GDLACore.installation.build_record import BuildRecord, python_tag, read_record
from GDLACore.installation.runtime_state import (
    Absent,
    Damaged,
    OtherPython,
    Ready,
    RuntimeState,
)
from GDLACore.owned_folder import OwnedFolder, clear_abandoned

_BUILD = re.compile(r"onnxruntime(-[a-z]+)?-\d[\w.+]*-(?P<python>cp\d+)(-\d+)?")
_NEW = ".new-"
_OLD = ".old-"
_AWAY = re.compile(re.escape(_OLD) + r"[0-9a-f]{8}")

# Seconds for which programs against viruses may hold on to files that have just been written.
_PATIENCE_S = 3.0


class BuildFolders:
    """The folders in ``parent``, which need not exist yet."""

    def __init__(self, parent: Path) -> None:
        self.parent = parent

    def state(self) -> RuntimeState:
        """Return what is there for this Python: the build installed last, if it is whole."""
        try:
            folders = self._builds()
        except OSError as error:
            return Damaged(f"{self.parent} cannot be read: {error.strerror or error}.", self.parent)
        others: RuntimeState = Absent()
        mine: list[tuple[float, Ready | Damaged]] = []
        for folder in folders:
            record = read_record(folder)
            if record.fits if record else _python(folder) == python_tag():
                mine.append((record.made if record else 0.0, _state(folder, record)))
            else:
                others = OtherPython(_dotted(_python(folder)), folder)
        mine.sort(key=lambda one: (isinstance(one[1], Ready), one[0]))
        return mine[-1][1] if mine else others

    def workshop(self) -> OwnedFolder:
        """Return a new folder in which a build can be made; raise InstallationError if none can."""
        try:
            self.parent.mkdir(parents=True, exist_ok=True)
            return OwnedFolder(self.parent, _NEW)
        except OSError as error:
            raise InstallationError(
                f"Nothing can be written to {self.parent}: {error.strerror or error}.",
                "Choose a folder you may write to.",
            ) from error

    def take_in(self, made: Path, record: BuildRecord) -> Ready:
        """Let ``made`` take the place of the older builds for this Python; return what it is now.

        An older one that is in use on Windows stays until it is swept away.
        """
        record.write(made)
        older = [folder for folder in self._builds() if _python(folder) == record.python]
        name = f"{record.package}-{record.version}-{record.python}"
        number = 1
        while (place := self.parent / (name if number == 1 else f"{name}-{number}")).exists():
            number += 1
        _move(made, place)
        for folder in older:
            with suppress(OSError):
                _put_away(folder)
        return _ready(place, record)

    def remove(self) -> None:
        """Remove all builds; raise InstallationError, and leave all as it was, if one is in use."""
        moved: list[tuple[Path, Path]] = []
        try:
            for folder in self._builds():
                moved.append((_put_away(folder), folder))
        except OSError as error:
            for away, folder in moved:
                away.rename(folder)
            raise InstallationError(
                f"ONNX Runtime cannot be removed from {self.parent}: {error.strerror or error}.",
                "3D Slicer may be using it: restart it, close its other windows, and try again.",
            ) from error
        # Gigabytes take their time. Not a daemon: they are to be gone even if the program ends now.
        threading.Thread(target=self.sweep, name="gdla-sweep").start()

    def sweep(self) -> None:
        """Remove what killed installations, and builds that were in use, have left behind."""
        clear_abandoned(self.parent, _NEW)
        with suppress(OSError):
            for folder in self.parent.iterdir():
                if _AWAY.fullmatch(folder.name):
                    shutil.rmtree(folder, ignore_errors=True)

    def _builds(self) -> list[Path]:
        try:
            return sorted(one for one in self.parent.iterdir() if _BUILD.fullmatch(one.name))
        except FileNotFoundError:
            return []


def _state(folder: Path, record: BuildRecord | None) -> Ready | Damaged:
    if record is None:
        return Damaged(f"{folder.name} was not installed to its end.", folder)
    damage = record.damage(folder)
    return Damaged(damage, folder) if damage else _ready(folder, record)


def _ready(folder: Path, record: BuildRecord) -> Ready:
    return Ready(record.package, record.version, folder, record.size_bytes, record.providers)


def _python(folder: Path) -> str:
    match = _BUILD.fullmatch(folder.name)
    return match["python"] if match else ""


def _dotted(tag: str) -> str:
    """Return "cp312" as "3.12"."""
    return f"{tag[2]}.{tag[3:]}"


def _put_away(folder: Path) -> Path:
    """Rename ``folder``, which Windows refuses if it is in use, to be removed at leisure."""
    away = folder.with_name(f"{_OLD}{secrets.token_hex(4)}")
    folder.rename(away)
    return away


def _move(made: Path, place: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            made.rename(place)
            return
        except PermissionError as error:
            if time.monotonic() > deadline:
                raise InstallationError(
                    f"{made} cannot be renamed: {error.strerror or error}.",
                    "A program against viruses may be in the way: try again.",
                ) from error
            time.sleep(0.1)
