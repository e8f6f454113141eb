"""Reference masks: which of their values mean which structure of a model."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import SimpleITK

from GDLACore.errors import VolumeError
from GDLACore.imaging.measure import Reference
from GDLACore.imaging.reading import read_labels
from GDLACore.imaging.volume import Volume
from GDLACore.imaging.writing import LABEL_SUFFIXES
from GDLACore.model.card import Label, ModelCard

_LOG = logging.getLogger(__name__)


def read_reference(path: str | Path, volume: Volume, card: ModelCard) -> Reference:
    """Return the label map ``path``, on the grid of ``volume``, matched to the labels of ``card``.

    What the values mean is read from a JSON file of the same name, ``{"labels": {"5": {"name":
    "liver", "type": "10200004"}}}``, where ``type`` and ``modifier`` are SNOMED CT codes and
    ``within`` lists wider structures that this one is part of; else from the header of a
    ``.seg.nrrd``; in any other file the values are those of the card.

    Raises VolumeError for unreadable files, or if no value means anything to the card.
    """
    path = Path(path)
    labels = read_labels(path, volume)
    if labels.size and labels.min() < 0:
        raise VolumeError(f"{path} has negative labels.", "Choose a label map.")
    meanings = _meanings(path)
    if meanings is None:
        _LOG.warning(
            "%s does not say what its values mean and has no %s.json beside it: they are taken for "
            "those of the model %s.",
            path.name,
            _stem(path),
            card.name,
        )
        return Reference(labels, {label.value: (label.value,) for label in card.labels})
    values = matching_values(meanings, card)
    if not values:
        raise VolumeError(
            f"{path} has none of the structures of the model {card.name}.",
            "Compare it with a model that segments the same structures.",
        )
    return Reference(labels, values)


def matching_values(
    meanings: Mapping[int, Mapping[str, Any]], card: ModelCard
) -> dict[int, tuple[int, ...]]:
    """Return, for each label of ``card`` that ``meanings`` knows, the reference values it covers.

    A value belongs to a label of the same type and modifier, to one of the same type without a
    modifier (left and right lung are lung), to one that the value lies within, or of equal name.
    """
    matches = {
        label.value: tuple(v for v, meaning in meanings.items() if _means(meaning, label))
        for label in card.labels
    }
    return {value: reference for value, reference in matches.items() if reference}


def _means(meaning: Mapping[str, Any], label: Label) -> bool:
    wanted, modifier = label.terminology.type.value, label.terminology.type_modifier
    if wanted in meaning.get("within", ()):
        return True
    if meaning.get("type") == wanted:
        return modifier is None or meaning.get("modifier") == modifier.value
    return "type" not in meaning and meaning["name"].casefold() == label.name.casefold()


def _meanings(path: Path) -> dict[int, dict[str, Any]] | None:
    sidecar = path.with_name(_stem(path) + ".json")
    if sidecar.is_file():
        return _sidecar_meanings(sidecar, path)
    if path.name.lower().endswith(".seg.nrrd"):
        return _segment_meanings(path)
    return None


def _sidecar_meanings(sidecar: Path, path: Path) -> dict[int, dict[str, Any]]:
    try:
        labels = json.loads(sidecar.read_text(encoding="utf-8"))["labels"]
        return {int(value): {"name": str(m["name"]), **m} for value, m in labels.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise VolumeError(
            f"{sidecar} does not say what the labels of {path.name} mean.",
            'Write {"labels": {"1": {"name": "liver", "type": "10200004"}}}.',
        ) from error


def _segment_meanings(path: Path) -> dict[int, dict[str, Any]]:
    """Return names and codes of a Slicer segmentation, whose values are in no agreed order."""
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    header = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}
    meanings: dict[int, dict[str, Any]] = {}
    for key, value in header.items():
        if segment := re.fullmatch(r"(Segment\d+)_LabelValue", key):
            meaning = {"name": header.get(f"{segment[1]}_Name", "")}
            meanings[int(value)] = meaning | _codes(header.get(f"{segment[1]}_Tags", ""))
    return meanings


def _codes(tags: str) -> dict[str, str]:
    """Return type and modifier from the tags of a segment (context~category~type~modifier~…)."""
    for tag in tags.split("|"):
        key, _, terminology = tag.partition(":")
        codes = [part.split("^") for part in terminology.split("~")[2:4]]
        if key == "TerminologyEntry" and [len(code) for code in codes] == [3, 3]:
            return {"type": codes[0][1], "modifier": codes[1][1]}
    return {}


def _stem(path: Path) -> str:
    for suffix in LABEL_SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.stem
