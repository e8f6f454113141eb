"""A model of the model folder, named on the command line like one of the catalogue."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from GDLACore.errors import ModelFileError
from GDLACore.model.catalogue import catalogue
from GDLACore.storage import ABSENT, DAMAGED, StoredModel, find_model, model_folder


def with_stored_model(arguments: Namespace) -> Namespace:
    """Return ``arguments`` with ``model`` as a file, where it is the name of one in the folder.

    Its card is added unless one was asked for; all else, paths and names that nobody knows
    included, stays as it was typed.

    Raises ModelFileError if the model is damaged, or not here but could be downloaded, unless a
    server is to run it: then it stays as it was typed, too.
    """
    name = str(arguments.model)
    shipped = [entry.name for entry in catalogue() if entry.resource is not None]
    if name in shipped or Path(name).name != name or Path(name).is_file():
        return arguments
    model = _known(name)
    if getattr(arguments, "server", None) is None:
        _check(model)
    if model is None or model.path is None or model.state == DAMAGED:
        return arguments
    values = vars(arguments)
    return Namespace(
        **{**values, "model": str(model.path), "card": values["card"] or model.card_name}
    )


def _known(name: str) -> StoredModel | None:
    try:
        return find_model(name, model_folder())
    except ModelFileError:
        return None


def _check(model: StoredModel | None) -> None:
    if model is None:
        return
    if model.state == ABSENT and model.entry is not None and model.entry.url is not None:
        raise ModelFileError(
            f"{model.name} is not on this computer.",
            f"Get it with gdla models download {model.name}.",
        )
    if model.state == DAMAGED and model.path is not None:
        raise ModelFileError(
            model.problem, f"Remove it with gdla models remove {model.name}, and get it again."
        )
