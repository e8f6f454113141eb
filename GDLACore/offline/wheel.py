"""A wheel: a Python package in one file, whose name says which computers it is for."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from GDLACore.errors import EngineError
from GDLACore.installation import SystemFacts
from GDLACore.offline.requirements import Requirement, normalized, parse_requirement

_FILE_NAME = re.compile(
    r"(?P<name>[\w.]+)-(?P<version>[\w.+!]+)(-\d\w*)?-(?P<python>[\w.]+)-(?P<abi>[\w.]+)"
    r"-(?P<platform>[\w.]+)\.whl"
)
_CPYTHON = re.compile(r"(?:cp|py)3(\d+)")
_GLIBC = re.compile(r"manylinux_(\d+)_(\d+)_(\w+)")
_MAC = re.compile(r"macosx_(\d+)_(\d+)_(\w+)")
_OLD_GLIBC = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_WINDOWS = {"win_amd64": "x86_64", "win_arm64": "arm64"}
_MACHINES = {"amd64": "x86_64", "aarch64": "arm64"}
_LARGEST_METADATA = 4 << 20

_AGAIN = "Get the file again."


@dataclass(frozen=True)
class Wheel:
    """A wheel's file, and what its name says. ``name`` is normalised."""

    path: Path
    name: str
    version: str
    pythons: tuple[str, ...]
    abis: tuple[str, ...]
    platforms: tuple[str, ...]

    def misfit(self, system: SystemFacts) -> str:
        """Return why it cannot be installed on ``system``, as part of a sentence, "" if it can."""
        if not any(_runs(tag, self.abis, system.python[1]) for tag in self.pythons):
            return f"is for Python {' or '.join(sorted(map(_python, self.pythons)))}"
        if not any(_suits(tag, system) for tag in self.platforms):
            return f"is for {' or '.join(self.platforms)}"
        return ""

    def requirements(self) -> tuple[Requirement, ...]:
        """Return what it needs; raise EngineError if the file cannot be read."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                names = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
                if len(names) != 1 or archive.getinfo(names[0]).file_size > _LARGEST_METADATA:
                    raise EngineError(f"{self.path} is not a whole wheel.", _AGAIN)
                text = archive.read(names[0]).decode("utf-8", "replace")
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise EngineError(f"{self.path} is damaged: {error}.", _AGAIN) from error
        except OSError as error:
            raise EngineError(
                f"{self.path} cannot be read: {error.strerror or error}.", "Check its permissions."
            ) from error
        lines = HeaderParser().parsestr(text).get_all("Requires-Dist", [])
        return tuple(found for line in lines if (found := parse_requirement(line)))


def wheel(path: Path) -> Wheel | None:
    """Return the wheel at ``path``, None if it is not called like one."""
    match = _FILE_NAME.fullmatch(path.name)
    if match is None:
        return None
    tags = (tuple(match[part].split(".")) for part in ("python", "abi", "platform"))
    return Wheel(path, normalized(match["name"]), match["version"], *tags)


def wheels_in(folder: Path) -> tuple[Wheel, ...]:
    """Return the wheels in ``folder``, sorted by file name; raise EngineError if it is none."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise EngineError(
            f"The folder {folder} cannot be read: {error.strerror or error}.", "Check the path."
        ) from error
    return tuple(found for path in paths if (found := wheel(path)))


def _runs(tag: str, abis: tuple[str, ...], minor: int) -> bool:
    """Return whether a Python 3 of version ``minor`` runs what one tag stands for."""
    if tag == "py3":
        return "none" in abis
    match = _CPYTHON.fullmatch(tag)
    if match is None:
        return False
    version = int(match.group(1))
    if tag.startswith("cp") and version < minor:
        return "abi3" in abis
    if version == minor:
        return bool({"none", "abi3", f"cp3{minor}"} & set(abis))
    return version < minor and "none" in abis


def _python(tag: str) -> str:
    match = _CPYTHON.fullmatch(tag)
    return f"3.{match.group(1)}" if match else tag


def _suits(tag: str, system: SystemFacts) -> bool:
    if tag == "any":
        return True
    if system.os == "Windows":
        return _WINDOWS.get(tag) == system.machine
    if system.os == "macOS":
        match = _MAC.fullmatch(tag)
        if match is None:
            return False
        oldest = (int(match.group(1)), int(match.group(2)))
        return match.group(3) in (system.machine, "universal2") and oldest <= _pair(system)
    kind, _, machine = tag.partition("_")
    if (match := _GLIBC.fullmatch(tag)) is not None:
        oldest, machine = (int(match.group(1)), int(match.group(2))), match.group(3)
    elif kind in _OLD_GLIBC:
        oldest = _OLD_GLIBC[kind]
    else:
        return tag in (f"linux_{system.machine}",) and system.os == "Linux"
    return (
        system.os == "Linux"
        and _MACHINES.get(machine, machine) == system.machine
        and oldest <= _pair(system)
    )


def _pair(system: SystemFacts) -> tuple[int, int]:
    """Return the first two numbers of the system's version; of macOS 13, (13, 0)."""
    first, second, *_ = (*system.os_version, 0, 0)
    return first, second
