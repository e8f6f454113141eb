"""Installing ONNX Runtime from a folder of wheels, without any network."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from GDLACore.errors import DownloadError, EngineError
from GDLACore.installation import RuntimeChoice, SystemFacts
from GDLACore.offline.checksums import CHECKSUMS, read_checksums, sha256_of
from GDLACore.offline.requirements import normalized
from GDLACore.offline.wheel import Wheel, wheels_in
from GDLACore.offline.wheel_choice import PROVIDED, needed_wheels

_WHEELS = "wheels"  # where a bundle has them


@dataclass(frozen=True)
class OfflineInstall:
    """What is to be installed, from which files: exactly ``wheels``, all in ``folder``."""

    choice: RuntimeChoice
    folder: Path
    wheels: tuple[Wheel, ...]

    @property
    def size(self) -> int:
        """Return how many bytes the wheels have."""
        return sum(one.path.stat().st_size for one in self.wheels)

    @property
    def pip_arguments(self) -> tuple[str, ...]:
        """Return what follows ``pip install``: these files, nothing else, and no network.

        It is the same for a folder of its own (``--target``), where pip would otherwise ask for
        packages again that Slicer has.
        """
        return ("--no-index", "--no-deps", *(str(one.path) for one in self.wheels))


def offline_install(
    folder: Path,
    choices: Sequence[RuntimeChoice],
    system: SystemFacts,
    installed: Collection[str] | None = None,
) -> OfflineInstall:
    """Return how to install the first of ``choices`` that ``folder`` has all wheels for.

    ``folder`` holds wheels, or is a bundle, whose checksums are compared. ``installed`` are the
    packages that need not be in it, by default those of this Python.

    Raises EngineError, saying what is in the folder instead, or DownloadError for a wheel that is
    damaged.
    """
    place = folder / _WHEELS if (folder / _WHEELS).is_dir() else folder
    wheels = wheels_in(place)
    if not wheels:
        raise EngineError(
            f"There are no wheels in {folder}.",
            "Choose a folder that `gdla bundle` has written, or one with .whl files.",
        )
    provided = PROVIDED | set(installed_packages() if installed is None else installed)
    first: EngineError | None = None
    for choice in choices:
        try:
            needed = needed_wheels(choice.requirements, wheels, system, provided)
        except EngineError as error:
            first = first or error
            continue
        _check(needed, place)
        return OfflineInstall(choice, place, needed)
    raise first or EngineError("No build of ONNX Runtime is to be installed.", "Choose one.")


def installed_packages() -> frozenset[str]:
    """Return the normalised names of the packages of this Python."""
    names = (distribution.metadata["Name"] for distribution in distributions())
    return frozenset(normalized(name) for name in names if name)


def _check(wheels: Sequence[Wheel], place: Path) -> None:
    """Compare ``wheels`` with the checksums beside them, or of the bundle that they belong to."""
    roots = (place, place.parent) if place.name == _WHEELS else (place,)
    for root in roots:
        if not (root / CHECKSUMS).is_file():
            continue
        expected = read_checksums(root)
        for one in wheels:
            name = one.path.relative_to(root).as_posix()
            if name in expected and sha256_of(one.path) != expected[name]:
                raise DownloadError(
                    f"{one.path} is damaged: its checksum is not that in {root / CHECKSUMS}.",
                    "Copy the folder again.",
                )
