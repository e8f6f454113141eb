"""What is noted down in a build's folder when it is installed, to tell later if it is whole."""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

_FILE = "gdla-build.json"
_LIBRARIES = (".pyd", ".dll", ".dylib", ".so")
_FIRST_FILE = "onnxruntime/__init__.py"


def python_tag() -> str:
    """Return what wheels call this version of Python, such as "cp312"."""
    return f"cp{sys.version_info.major}{sys.version_info.minor}"


def machine() -> str:
    """Return the system and the processor that programs here are made for."""
    return f"{sys.platform}-{platform.machine().lower()}"


@dataclass(frozen=True)
class BuildRecord:
    """A build, for whom it is, and the sizes in bytes of the files without which nothing works.

    ``made`` is when it was installed, in seconds since 1970.
    """

    package: str
    version: str
    python: str
    machine: str
    providers: tuple[str, ...]
    size_bytes: int
    files: dict[str, int]
    made: float

    @property
    def fits(self) -> bool:
        """Return whether it is for this Python on this kind of computer."""
        return (self.python, self.machine) == (python_tag(), machine())

    def write(self, folder: Path) -> None:
        (folder / _FILE).write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    def damage(self, folder: Path) -> str:
        """Return what is wrong in ``folder``, as a sentence, "" if all is well."""
        for name, size in self.files.items():
            try:
                found = (folder / name).stat().st_size
            except OSError:
                return f"{name} is missing."
            if found != size:
                return f"{name} was changed."
        return ""


def read_record(folder: Path) -> BuildRecord | None:
    """Return what is noted down in ``folder``, None if that cannot be read or understood."""
    try:
        fields = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        record = BuildRecord(**{**fields, "providers": tuple(fields["providers"])})
        sound = _FIRST_FILE in record.files and all(
            isinstance(value, int | float) for value in (record.made, *record.files.values())
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return record if sound else None


def needed_files(folder: Path) -> dict[str, int]:
    """Return the first file of the package and all libraries in ``folder``, with their sizes."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (_is_library(path.name) or path == folder / _FIRST_FILE)
    }


def size_of(folder: Path) -> int:
    """Return how many bytes the files in ``folder`` and below have."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _is_library(name: str) -> bool:
    return name.endswith(_LIBRARIES) or ".so." in name
