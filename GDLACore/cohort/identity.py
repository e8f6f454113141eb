"""What all results in one folder must have in common, and the file that remembers it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from GDLACore.atomic import replacing
from GDLACore.cohort.files import SETTINGS
from GDLACore.cohort.hashes import file_hash
from GDLACore.cohort.settings import BatchSettings
from GDLACore.engine import load_engine
from GDLACore.errors import ModelFileError, OutputError
from GDLACore.model.card import ModelCard
from GDLACore.model.catalogue import model_file
from GDLACore.model.onnx_file import check_onnx_file
from GDLACore.weights.card_choice import agreed_card
from GDLACore.weights.identified import load_identified

Identity = dict[str, "str | bool"]

_WORDS = {
    "model": "the model",
    "version": "the model's version",
    "weights_sha256": "the model's weights",
    "file_sha256": "the model's file",
    "card_sha256": "the model's card",
    "borders": "the borders",
    "largest_component": "largest component",
    "format": "the format",
}


def model_card(settings: BatchSettings) -> ModelCard:
    """Return the card of the model that ``settings`` name, with the weights' hash if it is known.

    Raises what ``load_engine`` raises where there is no such model, or the server does not answer.
    """
    if settings.server is not None:
        with load_engine(
            settings.model, card=settings.card, device=settings.device, server=settings.server
        ) as engine:
            return engine.card
    path = model_file(settings.model)
    if path.suffix.lower() == ".onnx":
        return agreed_card(check_onnx_file(path), settings.card, path)
    return load_identified(path, settings.card).card


def identity(settings: BatchSettings, card: ModelCard) -> Identity:
    """Return what decides about the results: where they are computed is not part of it."""
    return {
        "model": card.name,
        "version": card.version,
        "weights_sha256": _weights(settings, card),
        "file_sha256": _exported_file(settings),
        "card_sha256": hashlib.sha256(card.to_json().encode("utf-8")).hexdigest(),
        "borders": settings.borders,
        "largest_component": settings.largest_component,
        "format": settings.format,
    }


def _weights(settings: BatchSettings, card: ModelCard) -> str:
    """Return the hash of the weights; "" if a server does not tell it."""
    if card.sha256 is not None:
        return card.sha256
    return "" if settings.server is not None else file_hash(model_file(settings.model))


def _exported_file(settings: BatchSettings) -> str:
    """Return the hash of an exported network, of which those of half precision differ.

    "" for weights, which every computer makes the same network of, and for a server.
    """
    if settings.server is not None:
        return ""
    path = model_file(settings.model)
    return file_hash(path) if path.suffix.lower() == ".onnx" else ""


def check_model(settings: BatchSettings) -> None:
    """Raise ModelFileError if ``settings`` mean another model than the results' folder has.

    Where nothing is recorded nothing is checked.
    """
    recorded = read_identity(settings.output / SETTINGS)
    if recorded is None:
        return
    if changed := differences(recorded, identity(settings, model_card(settings))):
        raise ModelFileError(
            f"The model {settings.model} was replaced while the run began: {changed} changed.",
            "Give the command again once it stays the same.",
        )


def read_identity(path: Path) -> Identity | None:
    """Return what ``write_identity`` wrote, None if nothing was; raise OutputError if damaged."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict) or set(data) != set(_WORDS):
            raise ValueError("other fields")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{path}, which says how the results beside it were made, cannot be read.",
            "Choose another folder, or allow to replace the results (--force).",
        ) from error
    return data


def write_identity(path: Path, found: Identity) -> None:
    """Remember ``found``; raise OutputError if it cannot be written."""
    with replacing(path) as part:
        part.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def differences(before: Identity, now: Identity) -> str:
    """Return in words what is not the same, "" if all is. No file is the same as any."""
    parts = []
    for name, words in _WORDS.items():
        if name == "file_sha256" and "" in (before[name], now[name]):
            continue
        if before[name] != now[name]:
            values = "" if "sha256" in name else f" ({before[name]}, now {now[name]})"
            parts.append(f"{words}{values}")
    return ", ".join(parts)
