"""Which builds of ONNX Runtime are installed, and how to get back to one that works."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import PurePosixPath

from GDLACore.installation.choice import runtime_choice
from GDLACore.installation.system import SystemFacts

# All builds are one Python package, whatever they are called. Extensions of ONNX Runtime are
# called the same way, but lie in folders of their own.
_FIRST_FILE = PurePosixPath("onnxruntime/__init__.py")
_LIBRARY = "onnxruntime_pybind11_state"


@dataclass(frozen=True)
class InstalledBuild:
    """An installed build; ``complete`` is whether the files without which nothing works exist."""

    package: str
    version: str
    complete: bool


@dataclass(frozen=True)
class Repair:
    """What is wrong with the installed builds, in a sentence, and what pip must do about it.

    ``cost`` is how much would be installed, in words.
    """

    message: str
    uninstall: tuple[str, ...]
    install: tuple[str, ...]
    cost: str

    @property
    def commands(self) -> tuple[str, ...]:
        """Return the command lines, in their order."""
        remove = f"pip uninstall -y {' '.join(self.uninstall)}"
        add = "pip install " + " ".join(f'"{requirement}"' for requirement in self.install)
        return (remove, add) if self.uninstall else (add,)

    @property
    def hint(self) -> str:
        """Return what to do as a sentence."""
        return f"Run {', then '.join(self.commands)} ({self.cost})."


def installed_builds(path: list[str] | None = None) -> tuple[InstalledBuild, ...]:
    """Return the builds of ONNX Runtime found in ``path``, by default Python's search path."""
    found = distributions() if path is None else distributions(path=path)
    builds: dict[str, InstalledBuild] = {}
    for distribution in found:
        # What pip could not finish removing has no name any more.
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"] or "").lower()
        if name.startswith(("onnxruntime", "ort-")) and _is_build(distribution):
            builds.setdefault(
                name, InstalledBuild(name, distribution.version, _is_complete(distribution))
            )
    return tuple(builds.values())


def needed_repair(installed: tuple[InstalledBuild, ...], system: SystemFacts) -> Repair | None:
    """Return what is to be done until exactly one build is installed, None if one is.

    Raises EngineError if there is none for ``system``.
    """
    if len(installed) == 1 and installed[0].complete:
        return None
    names = tuple(build.package for build in installed)
    choice = runtime_choice(system)
    if not installed:
        return Repair("ONNX Runtime is not installed.", (), choice.requirements, choice.cost)
    if len(installed) == 1:
        return Repair(
            f"{names[0]} is only half installed: another build of ONNX Runtime has overwritten it "
            "and was removed.",
            names,
            choice.requirements,
            choice.cost,
        )
    listed = " and ".join(f"{build.package} {build.version}" for build in installed)
    return Repair(
        f"{len(installed)} builds of ONNX Runtime are installed, which overwrite each other's "
        f"files: {listed}.",
        names,
        choice.requirements,
        choice.cost,
    )


def _is_build(distribution: Distribution) -> bool:
    files = distribution.files
    return files is None or any(PurePosixPath(file) == _FIRST_FILE for file in files)


def _is_complete(distribution: Distribution) -> bool:
    needed = [
        file
        for file in distribution.files or ()
        if PurePosixPath(file) == _FIRST_FILE or file.name.startswith(_LIBRARY)
    ]
    return all(file.locate().exists() for file in needed)
