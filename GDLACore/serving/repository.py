"""A model as a folder of a model repository, from which NVIDIA Triton serves it."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from GDLACore.atomic import unwritable
from GDLACore.errors import OutputError
from GDLACore.model.card import ModelCard
from GDLACore.serving.contract import CONTRACT_KEY
from GDLACore.serving.triton_config import MODEL_FILE, TritonConfig, config_text

CONFIG_FILE = "config.pbtxt"
VERSION = "1"

_PACKAGE = Path(__file__).resolve().parents[1]
_PROGRAM = Path("serving", "triton_model.py")
_PROGRAM_FILE = "model.py"  # the name that Triton looks for

# All that a version of ours can have in it; the last is Python's, on a server that may write there.
_OURS = frozenset({MODEL_FILE, _PROGRAM_FILE, _PACKAGE.name, "__pycache__"})


def model_folder(repository: Path, card: ModelCard) -> Path:
    """Return where in ``repository`` the model of ``card`` lies."""
    return repository / card.name


def check_repository(repository: Path, card: ModelCard, *, overwrite: bool) -> None:
    """Raise OutputError if the model of ``card`` cannot be written to ``repository``.

    ``overwrite``: whether a model of this name that is there may be replaced, if it is one that
    ``write_repository`` wrote. Anything else of this name never is.
    """
    if repository.exists() and not repository.is_dir():
        raise OutputError(f"{repository} is not a folder.", "Choose a folder for the repository.")
    folder = model_folder(repository, card)
    if not os.path.lexists(folder):
        return
    try:
        stranger = _stranger(folder)
    except OSError as error:
        raise unwritable(folder, error) from error
    if stranger is not None:
        raise OutputError(
            f"{stranger} is in the way: it is not of a model that was exported before.",
            "Choose another folder for the repository, or move it away.",
        )
    if not overwrite:
        raise OutputError(
            f"{folder} is there already.", "Give --force to replace it, or choose another folder."
        )


def write_repository(
    repository: Path, card: ModelCard, model: bytes, config: TritonConfig, *, overwrite: bool
) -> Path:
    """Write the model of ``card`` into ``repository``; return its folder there.

    ``model`` is what ``config.backend`` runs: for "onnxruntime" the file of ``served_graph``, for
    "python" that of an ONNX model of ours. ``repository`` is made if need be. The folder appears
    whole or not at all; a former one stays if that fails. Only a process that is killed between
    two renames leaves neither: both are beside the repository then.

    Raises OutputError as ``check_repository`` does, and if the folder cannot be written.
    """
    check_repository(repository, card, overwrite=overwrite)
    folder = model_folder(repository, card)
    try:
        repository.mkdir(parents=True, exist_ok=True)
        workplace = _workplace(repository)
    except OSError as error:
        raise unwritable(folder, error) from error
    unique = f".{card.name}.{secrets.token_hex(8)}"
    part, former = (workplace / f"{unique}.{kind}" for kind in ("part", "former"))
    try:
        version = part / VERSION
        version.mkdir(parents=True)
        (version / MODEL_FILE).write_bytes(model)
        if config.backend == "python":
            _add_program(version)
        (part / CONFIG_FILE).write_text(config_text(card, config), "utf-8", newline="\n")
        if folder.exists():
            folder.rename(former)
        try:
            part.rename(folder)
        except BaseException:  # whatever it is: a server may be waiting for the folder
            if former.exists():
                former.rename(folder)
            raise
    except OSError as error:
        raise unwritable(folder, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if folder.exists():
            shutil.rmtree(former, ignore_errors=True)
    return folder


def _stranger(folder: Path) -> Path | None:
    """Return what of ``folder`` is not made by ``write_repository``, None if there is nothing."""
    if folder.is_symlink() or not folder.is_dir():
        return folder
    config, version = folder / CONFIG_FILE, folder / VERSION
    if not config.is_file() or CONTRACT_KEY not in config.read_text("utf-8", "replace"):
        return config
    others = set(folder.iterdir()) - {config, version}
    if version.is_dir():
        others |= {path for path in version.iterdir() if path.name not in _OURS}
    return min(others, default=None)


def _workplace(repository: Path) -> Path:
    """Return a folder on the disk of ``repository`` to write in: only within one are folders moved.

    Not in the repository, if that can be avoided: of a folder that it finds there, and takes for a
    model, Triton could not start.
    """
    beside = repository.resolve().parent
    same_disk = beside.stat().st_dev == repository.stat().st_dev
    return beside if same_disk and os.access(beside, os.W_OK) else repository


def _add_program(version: Path) -> None:
    """Copy the server's program, and the package that it is part of, into ``version``.

    All of the package: what is left out by mistake would be missed only on the server.
    """
    shutil.copyfile(_PACKAGE / _PROGRAM, version / _PROGRAM_FILE)
    shutil.copytree(
        _PACKAGE,
        version / _PACKAGE.name,
        ignore=shutil.ignore_patterns("__pycache__", "*.pyc", "CMakeLists.txt"),
    )
