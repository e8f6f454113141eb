"""GDLACore as hospitals install it: with what it needs to run a model, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import venv
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]

# What pip writes for the entry point ``gdla``.
_SCRIPT = """\
import sys
from GDLACore.cli import main
if __name__ == "__main__":
    sys.exit(main())
"""


@dataclass(frozen=True)
class Installation:
    """A virtual environment with GDLACore in it."""

    folder: Path

    @property
    def _scripts(self) -> Path:
        return self.folder / ("Scripts" if os.name == "nt" else "bin")

    def python(self, code: str) -> subprocess.CompletedProcess[str]:
        """Run a piece of Python and return how it ended."""
        return self._run("-c", code)

    def gdla(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run the ``gdla`` command and return how it ended; print how long it took."""
        start = time.perf_counter()
        done = self._run(str(self._scripts / "gdla.py"), *map(str, arguments))
        print(f"gdla {arguments[0]}: {time.perf_counter() - start:.2f} s from start to end")
        return done

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        # Nothing that leads to another environment's packages, and no folder of the source code.
        settings = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        return subprocess.run(
            [self._scripts / "python", *arguments],
            cwd=self.folder,
            env=settings,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


def install(folder: Path, packages: tuple[str, ...]) -> Installation:
    """Return a new environment in ``folder`` with GDLACore and ``packages``, offline.

    The packages, and what they require themselves, are links to those of the running environment.
    """
    venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(folder)
    site = next(folder.glob("Lib/site-packages" if os.name == "nt" else "lib/*/site-packages"))
    for name in _with_requirements(packages):
        for part in _top_level(metadata.distribution(name)):
            _link(Path(metadata.distribution(name).locate_file(part)), site.joinpath(*part.parts))
    _install_source(site)
    installation = Installation(folder)
    (installation._scripts / "gdla.py").write_text(_SCRIPT)
    return installation


def _with_requirements(packages: tuple[str, ...]) -> set[str]:
    """Return ``packages`` and, one after the other, everything they cannot do without."""
    found: set[str] = set()
    waiting = list(packages)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for requirement in map(Requirement, metadata.requires(name) or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


def _top_level(distribution: metadata.Distribution) -> set[PurePosixPath]:
    """Return the files and folders of a package in site-packages, such as numpy and numpy.libs."""
    files = [PurePosixPath(file) for file in distribution.files or ()]
    parts = set()
    for file in files:
        if file.parts[0] == ".." or file.parts[0] == "__pycache__":
            continue
        first = PurePosixPath(file.parts[0])
        # google/protobuf shares the folder google with packages that are not wanted here.
        shared = len(file.parts) > 2 and file.suffix == ".py" and first / "__init__.py" not in files
        parts.add(first / file.parts[1] if shared else first)
    # A folder is there as a whole, or by its own folders, but not both.
    return {part for part in parts if not any(other.parent == part for other in parts)}


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if os.name != "nt":
        target.symlink_to(source.resolve())
    elif source.is_dir():  # links are for administrators there
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)


def _install_source(site: Path) -> None:
    """Copy the package and, inside it, its resources, as a wheel does."""
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "GDLACore", site / "GDLACore", ignore=without)
    shutil.copytree(ROOT / "Resources", site / "GDLACore" / "Resources", ignore=without)
