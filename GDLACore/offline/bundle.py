"""Everything that a hospital without internet needs for this program, in one folder."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from GDLACore.atomic import unwritable
from GDLACore.errors import DownloadError, ModelFileError, OutputError
from GDLACore.installation.builds import Build
from GDLACore.offline.checksums import CHECKSUMS, read_checksums, sha256_of, write_checksums
from GDLACore.offline.fetching import fetch_wheels, pip_download
from GDLACore.offline.guide import GuideModel, GuideWheels, guide
from GDLACore.offline.platforms import Platform, dotted, install_name, requirement
from GDLACore.offline.wheel import Wheel, wheels_in
from GDLACore.offline.wheel_choice import needed_wheels
from GDLACore.storage import READY, Control, StoredModel, check_model

GUIDE, LIST = "INSTALL.md", "wheels.txt"

# Where the wheels for one kind of computer are to be taken from.
WheelSource = Callable[[Build, Platform, tuple[int, int]], tuple[Wheel, ...]]


@dataclass(frozen=True)
class BundlePlan:
    """What goes into a bundle: models, and the engine for some kinds of computers.

    ``flavour`` is one of FLAVOURS, ``python`` the version of Slicer's Python.
    """

    models: tuple[StoredModel, ...]
    platforms: tuple[Platform, ...]
    python: tuple[int, int]
    flavour: str


@dataclass(frozen=True)
class Collected:
    """The engine for one kind of computer; ``wheels`` is empty where they are only listed."""

    platform: Platform
    build: Build
    wheels: tuple[Wheel, ...]


def no_wheels(build: Build, platform: Platform, python: tuple[int, int]) -> tuple[Wheel, ...]:
    """Collect nothing: the bundle says what has to be fetched."""
    return ()


def wheels_from(folder: Path) -> WheelSource:
    """Return the source that takes wheels out of ``folder``, after a look at what they are for."""

    def collect(build: Build, platform: Platform, python: tuple[int, int]) -> tuple[Wheel, ...]:
        return needed_wheels([requirement(build)], wheels_in(folder), platform.system(python))

    return collect


def wheels_by_pip(folder: Path) -> WheelSource:
    """Return the source that lets pip fetch wheels into ``folder``, one for each kind inside."""

    def collect(build: Build, platform: Platform, python: tuple[int, int]) -> tuple[Wheel, ...]:
        place = folder / platform.name
        place.mkdir(exist_ok=True)
        fetch_wheels(build, platform, python, place)
        return wheels_from(place)(build, platform, python)

    return collect


def write_bundle(
    folder: Path,
    plan: BundlePlan,
    source: WheelSource = no_wheels,
    *,
    overwrite: bool = False,
    control: Control | None = None,
) -> int:
    """Write the bundle to ``folder``, whole or not at all; return its size in bytes.

    ``overwrite`` allows to replace an older bundle, but never a folder that holds anything else.

    Raises OutputError if it cannot be written, ModelFileError for a model that is damaged,
    EngineError for wheels that are missing or for other computers, DownloadError if pip could not
    fetch them; Cancelled.
    """
    control = control or Control()
    _check_place(folder, overwrite)
    for model in plan.models:
        _check_model(model, control)
    collected = [_collected(platform, plan, source) for platform in plan.platforms]
    part = folder.parent / f".{secrets.token_hex(8)}.part"
    try:
        (part / "wheels").mkdir(parents=True)
        (part / "models").mkdir()
        _copy_models(plan.models, part / "models", control)
        _copy_wheels(collected, part / "wheels", control)
        (part / "wheels" / LIST).write_text(_list(collected, plan.python), "utf-8", newline="\n")
        text = guide(plan.python, _guide_wheels(collected, plan.python), _guide_models(plan.models))
        (part / GUIDE).write_text(text, "utf-8", newline="\n")
        write_checksums(part)
        size = sum(path.stat().st_size for path in part.rglob("*") if path.is_file())
        control.check()
        _exchange(part, folder)
    except OSError as error:
        raise unwritable(folder, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return size


def _check_place(folder: Path, overwrite: bool) -> None:
    """Raise OutputError unless ``folder`` can be written, or is a bundle that may be replaced."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file.", "Give the name of a folder.")
    if not folder.parent.is_dir():
        raise OutputError(f"The folder {folder.parent} does not exist.", "Create it first.")
    if folder.is_dir() and any(folder.iterdir()):
        if not overwrite:
            raise OutputError(
                f"{folder} exists already.",
                "Choose another name, or allow to replace it (--force).",
            )
        _check_is_bundle(folder)
    try:
        tempfile.TemporaryFile(dir=folder.parent).close()
    except OSError as error:
        raise unwritable(folder, error) from error


def _check_is_bundle(folder: Path) -> None:
    try:
        known = {CHECKSUMS, *read_checksums(folder)}
    except DownloadError:
        known = set()
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    if not known or found - known:
        other = f" but holds {min(found - known)}" if known else ""
        raise OutputError(
            f"{folder} is not a bundle as this program writes them{other}, so it is not replaced.",
            "Choose another name, or empty the folder yourself.",
        )


def _check_model(model: StoredModel, control: Control) -> None:
    if model.path is None:
        raise ModelFileError(
            f"{model.name} is not on this computer.", "Download or import it, or leave it out."
        )
    if model.state != READY:
        raise ModelFileError(model.problem, "Get it again, or leave it out.")
    check_model(model, control)


def _collected(platform: Platform, plan: BundlePlan, source: WheelSource) -> Collected:
    build = platform.build(plan.flavour, plan.python)
    return Collected(platform, build, source(build, platform, plan.python))


def _copy_models(models: Sequence[StoredModel], folder: Path, control: Control) -> None:
    for model in models:
        if model.path is None or model.card is None:
            continue
        control.report("copying", 0)
        shutil.copyfile(model.path, folder / model.path.name)
        card = folder / f"{model.path.stem}.card.json"
        if model.path.with_suffix(".card.json").is_file() or model.card_name:
            card.write_text(model.card.to_json() + "\n", "utf-8", newline="\n")


def _copy_wheels(collected: Sequence[Collected], folder: Path, control: Control) -> None:
    for one in collected:
        for wheel in one.wheels:
            control.report("copying", 0)
            shutil.copyfile(wheel.path, folder / wheel.path.name)


def _list(collected: Sequence[Collected], python: tuple[int, int]) -> str:
    lines = ["# The engine of GDLASegmenter: version, SHA-256 and file of each package."]
    for one in collected:
        lines += ["", f"# {one.platform.title}, Python {dotted(python)}"]
        lines += [
            f"{wheel.name}=={wheel.version}  {sha256_of(wheel.path)}  {wheel.path.name}"
            for wheel in one.wheels
        ]
        if not one.wheels:
            lines += [
                f"{one.build.package}=={one.build.version}  not here; get it and its needs with",
                f"#   {_fetch(one, python)}",
            ]
    return "\n".join([*lines, ""])


def _fetch(one: Collected, python: tuple[int, int]) -> str:
    words = pip_download(one.build, one.platform, python, "wheels")
    return " ".join(["python", "-m", "pip", *words[:-1], f'"{words[-1]}"'])


def _guide_wheels(collected: Sequence[Collected], python: tuple[int, int]) -> list[GuideWheels]:
    return [
        GuideWheels(
            one.platform.name,
            one.platform.title,
            install_name(one.build),
            tuple(wheel.path.name for wheel in one.wheels),
            _fetch(one, python),
        )
        for one in collected
    ]


def _guide_models(models: Sequence[StoredModel]) -> list[GuideModel]:
    return [
        GuideModel(model.path.name, model.card, model.entry.url if model.entry else None)
        for model in models
        if model.path is not None and model.card is not None
    ]


def _exchange(part: Path, folder: Path) -> None:
    """Put ``part`` in the place of ``folder``; on failure the old one is there as before."""
    if not folder.exists():
        part.replace(folder)
        return
    old = folder.parent / f".{secrets.token_hex(8)}.old"
    folder.replace(old)
    try:
        part.replace(folder)
    except BaseException:  # Ctrl-C included
        old.replace(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
