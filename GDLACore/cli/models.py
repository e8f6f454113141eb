"""``gdla models``: which models there are, and how they come to this computer and leave it."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import Any

from GDLACore.cli.progress import progress_bar
from GDLACore.cli.tables import print_table
from GDLACore.errors import ModelFileError
from GDLACore.model.catalogue import find
from GDLACore.storage import (
    ABSENT,
    DAMAGED,
    Control,
    StoredModel,
    check_model,
    download,
    find_model,
    import_model,
    list_models,
    model_folder,
    remote_file,
    remove_model,
    size_on_disk,
)


def print_models(arguments: Namespace) -> None:
    """Print the models of the catalogue and of the model folder."""
    folder = model_folder()
    models = list_models(folder)
    if arguments.json:
        print(json.dumps([_facts(model) for model in models], indent=2))
        return
    rows = [
        [
            model.name,
            model.title,
            model.card.modality if model.card else "-",
            str(len(model.card.labels)) if model.card else "-",
            f"{model.size / 1e6:.1f}" if model.size else "-",
            _where(model),
        ]
        for model in models
    ]
    print_table(["Model", "Title", "Modality", "Structures", "MB", "Weights"], rows)
    for model in models:
        if model.state == DAMAGED:
            print(f"{model.name}: {model.problem}")
    print(f"Model folder: {folder} ({size_on_disk(folder) / 1e6:.1f} MB)")


def fetch(arguments: Namespace) -> None:
    """Download models of the catalogue into the model folder."""
    folder = model_folder()
    files = [remote_file(find(name)) for name in arguments.names]
    for file in files:
        with progress_bar(quiet=arguments.quiet) as report:
            path = download(file, folder, Control(report))
        _tell(arguments, f"Downloaded and checked: {path}")


def take(arguments: Namespace) -> None:
    """Import a model file into the model folder."""
    folder = model_folder()
    with progress_bar(quiet=arguments.quiet) as report:
        result = import_model(
            arguments.file,
            folder,
            card=arguments.card,
            name=arguments.name,
            control=Control(report),
        )
    _tell(arguments, result.found.sentence)
    word = "Was there already" if result.was_there else "Imported"
    _tell(arguments, f"{word}: {result.path} ({result.path.stat().st_size / 1e6:.1f} MB)")


def remove(arguments: Namespace) -> None:
    """Remove models from the model folder."""
    folder = model_folder()
    for model in [find_model(name, folder) for name in arguments.names]:
        freed = remove_model(model, folder)
        _tell(arguments, f"Removed: {model.name} ({freed / 1e6:.1f} MB)")


def check(arguments: Namespace) -> None:
    """Read models on this computer to their last byte."""
    folder = model_folder()
    if arguments.names:
        models = [find_model(name, folder) for name in arguments.names]
    else:
        models = [model for model in list_models(folder) if model.state != ABSENT]
    damaged = []
    for model in models:
        try:
            with progress_bar(quiet=arguments.quiet) as report:
                check_model(model, Control(report))
        except ModelFileError as error:
            damaged.append(model.name)
            _tell(arguments, f"{model.name}: {error}")
        else:
            _tell(arguments, f"{model.name}: sound")
    if damaged:
        raise ModelFileError(
            f"{len(damaged)} of {len(models)} models cannot be used: {', '.join(damaged)}.",
            "Remove them, and download or import them again.",
        )


def _where(model: StoredModel) -> str:
    if model.shipped:
        return "built in"
    if model.state == ABSENT:
        known = model.entry is not None and model.entry.url is not None
        return "can be downloaded" if known else "from its authors"
    if model.state == DAMAGED:
        return "damaged"
    return "here, checked" if model.checked else "here"


def _facts(model: StoredModel) -> dict[str, Any]:
    return {
        **(model.card.to_dict() if model.card else {}),
        "name": model.name,
        "file": model.entry.file if model.entry else None,
        "shipped": model.shipped,
        "state": model.state,
        "problem": model.problem,
        "path": None if model.path is None else str(model.path),
        "bytes": model.size,
        "checked": model.checked,
    }


def _tell(arguments: Namespace, sentence: str) -> None:
    if not arguments.quiet:
        print(sentence)
