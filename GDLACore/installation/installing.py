"""How a build gets into its folder: fetched, tried out, and only then put in its place."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Protocol

from GDLACore.errors import InstallationError
from GDLACore.installation.build_folders import BuildFolders
from GDLACore.installation.build_record import (
    BuildRecord,
    machine,
    needed_files,
    python_tag,
    size_of,
)
from GDLACore.installation.choice import RuntimeChoice
from GDLACore.installation.control import Control
from GDLACore.installation.events import Step
from GDLACore.installation.installed import installed_builds
from GDLACore.installation.pip_run import Pip
from GDLACore.installation.python import Python
from GDLACore.installation.runtime_state import Ready
from GDLACore.installation.trial import try_out

_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(\[(?P<extras>[\w,-]+)\])?(?P<versions>.*)")
_EXTRA = re.compile(r"""extra\s*==\s*["'](\w+)["']""")
_MB = 1_000_000
_MARGIN = 1.1
_LAST_FILES_S = 2.0


class PickedWheels(Protocol):
    """Wheels for a choice, and what pip is told to install them and nothing else."""

    @property
    def choice(self) -> RuntimeChoice: ...

    @property
    def pip_arguments(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Installer:
    """Installs into ``folders`` for ``python``."""

    folders: BuildFolders
    python: Python

    def from_index(self, choice: RuntimeChoice, control: Control) -> Ready:
        """Fetch and install ``choice``; raises InstallationError, Cancelled."""
        control.tell(Step("preparing"))
        with self._workshop() as workshop:
            self._check_space(choice.download_mb + choice.installed_mb)
            pip, build = Pip(self.python, workshop, control), workshop / "p"
            name, extras, versions = _parts(choice.requirements[0])
            # Of what it asks for, importing it and computing with it need numpy alone.
            pip.install(build, ["--no-deps", name + versions])
            if extras:
                libraries = _needs(build, extras)
                pip.install(build, [*libraries, *choice.requirements[1:]])
            return self._finished(build, workshop, control)

    def from_wheels(self, find: Callable[[], PickedWheels], control: Control) -> Ready:
        """Install the wheels that ``find`` returns; raises InstallationError, Cancelled."""
        control.tell(Step("preparing"))
        picked = find()
        control.check()
        with self._workshop() as workshop:
            self._check_space(picked.choice.installed_mb)
            build = workshop / "p"
            Pip(self.python, workshop, control).install_files(build, picked.pip_arguments)
            return self._finished(build, workshop, control)

    @contextmanager
    def _workshop(self) -> Iterator[Path]:
        """Yield a folder in which a build is made; nothing of it stays but what was taken in."""
        self.folders.sweep()
        owned = self.folders.workshop()
        try:
            yield owned.path
        except OSError as error:
            raise InstallationError(
                f"{self.folders.parent} cannot be written to: {error.strerror or error}.",
                "Free some space there, or choose another folder.",
            ) from error
        finally:
            deadline = time.monotonic() + _LAST_FILES_S
            owned.remove()
            # On Windows, a process that was killed lets go of its files a moment later.
            while owned.path.exists() and time.monotonic() < deadline:
                time.sleep(0.05)
                shutil.rmtree(owned.path, ignore_errors=True)
            self.folders.sweep()

    def _check_space(self, megabytes: int) -> None:
        needed, free = _MARGIN * megabytes, shutil.disk_usage(self.folders.parent).free / _MB
        if free < needed:
            raise InstallationError(
                f"There is too little space in {self.folders.parent}: {needed:.0f} MB are needed, "
                f"{free:.0f} MB are free.",
                "Free some space on that disk.",
            )

    def _finished(self, build: Path, workshop: Path, control: Control) -> Ready:
        control.tell(Step("testing"))
        found = installed_builds([str(build)])
        if len(found) != 1 or not found[0].complete:
            raise InstallationError(
                "What was fetched is not ONNX Runtime.", "Try again, or use other wheels."
            )
        # Programs to be started by hand, made for this folder, which will not keep its name.
        shutil.rmtree(build / "bin", ignore_errors=True)
        trial = try_out(self.python, build, workshop, control)
        record = BuildRecord(
            found[0].package,
            found[0].version,
            python_tag(),
            machine(),
            trial.providers,
            size_of(build),
            needed_files(build),
            time.time(),
        )
        control.check()
        return self.folders.take_in(build, record)


def _parts(requirement: str) -> tuple[str, frozenset[str], str]:
    """Return "a[b,c]>=1" as ("a", {"b", "c"}, ">=1")."""
    match = _REQUIREMENT.fullmatch(requirement)
    if match is None:
        raise ValueError(f"not a requirement: {requirement}")
    extras = match["extras"].split(",") if match["extras"] else ()
    return match["name"], frozenset(extras), match["versions"]


def _needs(build: Path, extras: frozenset[str]) -> list[str]:
    """Return what the package in ``build`` asks for along with ``extras``: CUDA's libraries."""
    lines = [line for one in distributions(path=[str(build)]) for line in one.requires or ()]
    return [
        line.partition(";")[0].strip()
        for line in lines
        if (extra := _EXTRA.search(line)) and extra.group(1) in extras
    ]
