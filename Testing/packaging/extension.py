"""The extension, configured and installed by CMake with a stand-in for Slicer's build system."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = Path(__file__).parent / "slicer"

# Nothing but the standard library, the installed extension, and packages that Slicer has or gets:
# without the site module no file in there can point to the source code.
_PROLOGUE = """\
import sys
sys.path[:0] = [{modules!r}]
sys.path += {packages!r}
"""


@dataclass(frozen=True)
class Extension:
    """An extension in the folder of an installation."""

    prefix: Path
    description: dict[str, str]

    @property
    def modules(self) -> Path:
        """Return the folder from which Slicer takes modules, and Python its imports."""
        return next(self.prefix.glob("lib/Slicer-*/qt-scripted-modules"))

    def files(self) -> set[str]:
        """Return all installed files, as paths below ``modules``."""
        files = [path for path in self.prefix.rglob("*") if path.is_file()]
        return {path.relative_to(self.modules).as_posix() for path in files}

    def python(self, code: str, *folders: Path) -> subprocess.CompletedProcess[str]:
        """Run ``code``, which finds GDLACore here only; ``folders`` are searched last."""
        packages = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        prologue = _PROLOGUE.format(
            modules=str(self.modules), packages=[*sorted(packages), *map(str, folders)]
        )
        return subprocess.run(
            [sys.executable, "-I", "-S", "-c", prologue + code],
            cwd=self.prefix,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def cmake_command() -> str:
    """Return the CMake of the package ``cmake``: a system's own is often too old for Slicer.

    Without it the test is skipped; but it fails where every test counts.
    """
    try:
        from cmake import CMAKE_BIN_DIR
    except ModuleNotFoundError:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("the package cmake is not installed")
    return os.path.join(CMAKE_BIN_DIR, "cmake")


def install(cmake: str, folder: Path, source: Path = ROOT) -> Extension:
    """Return the extension of ``source``, installed in ``folder``, which is empty.

    Raises subprocess.CalledProcessError, whose ``stderr`` says why, if CMake or the stand-in
    refuses it.
    """
    build, prefix = folder / "build", folder / "installed"
    _run(
        [cmake, "-S", source, "-B", build, "-G", "Unix Makefiles"]
        + [f"-DSlicer_DIR={STAND_IN}", f"-DCMAKE_TOOLCHAIN_FILE={STAND_IN / 'NoCompiler.cmake'}"]
        # Nothing is made, but CMake wants to know the program that would.
        + [f"-DCMAKE_MAKE_PROGRAM={sys.executable}", f"-DGDLA_PYTHON={sys.executable}"]
    )
    _run([cmake, "--install", build, "--prefix", prefix])
    return Extension(prefix, json.loads((build / "extension.json").read_text("utf-8")))


def _run(command: list[str | Path]) -> None:
    subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
