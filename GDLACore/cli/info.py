"""``gdla info``: what a file, a folder or a model is."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np

from GDLACore.cli.models import print_models
from GDLACore.cli.tables import print_table
from GDLACore.model.bundle import read_card, read_card_file
from GDLACore.model.card import ModelCard
from GDLACore.model.catalogue import catalogue, find
from GDLACore.model.onnx_file import check_onnx_file
from GDLACore.weights.names import network_name
from GDLACore.weights.torch_file import read_torch_file

_TORCH_FILES = (".ckpt", ".pth", ".pt")


def describe(arguments: Namespace) -> None:
    """Print what ``arguments.file`` is; without one, the list of models."""
    if arguments.file is None:
        print_models(arguments)
        return
    path: Path = arguments.file
    suffix = path.suffix.lower()
    if not suffix and not path.exists():
        _describe_card(find(str(path)).card, arguments)
    elif suffix == ".onnx":
        _describe_card(check_onnx_file(path), arguments)
    elif suffix == ".safetensors":
        _describe_card(read_card(path), arguments)
    elif suffix == ".json":
        _describe_card(read_card_file(path), arguments)
    elif suffix in _TORCH_FILES:
        _print_facts(_checkpoint_facts(path), arguments)
    else:
        _describe_volume(path, arguments)


def _describe_card(card: ModelCard, arguments: Namespace) -> None:
    if arguments.json:
        print(card.to_json())
        return
    source = card.provenance
    facts = {
        "Model": f"{card.name} {card.version}",
        "Title": card.title,
        "Modality": card.modality,
        "Network": str(card.architecture),
        "Input": f"{card.in_channels} x {card.input_size} x {card.input_size}, {card.resampling}",
        "Intensity": " ".join(map(str, card.intensity.to_dict().values())),
        "Slices": f"{card.slice_axis}, view {card.view}",
        "Source": source.source,
        "Training data": source.training_data,
        "Licence": source.licence,
        "Intended use": source.intended_use,
        "Cite": source.citation,
        "Weights SHA-256": card.sha256 or "not known",
    }
    facts |= {f"Caveat {n}": text for n, text in enumerate(source.caveats, start=1)}
    _print_facts(facts, arguments)
    rows = [
        [label.name, str(label.value), label.terminology.type.value, label.note]
        for label in card.labels
    ]
    print_table(["Structure", "Value", "SNOMED CT", "Note"], rows)


def _checkpoint_facts(path: Path) -> dict[str, Any]:
    """Say what a PyTorch file holds, from the names and shapes of its weights."""
    weights = read_torch_file(path)
    named = {network_name(name): value for name, value in weights.items()}
    facts: dict[str, Any] = {
        "File": str(path),
        "Weights": len(weights),
        "Parameters": sum(value.size for value in weights.values()),
    }
    if "head.weight" in named and "stem.conv1.weight" in named:
        classes, channels = named["head.weight"].shape[0], named["stem.conv1.weight"].shape[1]
        cards = [entry.card for entry in catalogue()]
        fitting = [c.name for c in cards if (c.classes, c.in_channels) == (classes, channels)]
        facts["Kind"] = "PVT-GDLA segmentation network"
        facts["Classes"] = classes
        facts["Input channels"] = channels
        facts["Fitting cards"] = ", ".join(fitting) or "none in the catalogue"
    elif any("patch_embed" in name for name in weights):
        facts["Kind"] = "PVTv2 encoder, to start a training from"
    else:
        facts["Kind"] = "another network"
    return facts


def _describe_volume(path: Path, arguments: Namespace) -> None:
    from GDLACore.imaging.intensity import count_non_finite
    from GDLACore.imaging.reading import read_volume
    from GDLACore.imaging.view import patient_axes

    volume = read_volume(path, series=arguments.series, frame=arguments.frame)
    world, signs = patient_axes(volume.ijk_to_ras)
    towards = [("LR", "PA", "IS")[axis][sign > 0] for axis, sign in zip(world, signs, strict=True)]
    missing = count_non_finite(volume.array)
    finite = volume.array[np.isfinite(volume.array)] if missing else volume.array
    values = [float(finite.min()), float(finite.max())] if finite.size else None
    if arguments.json:
        facts: dict[str, Any] = {
            "name": volume.name,
            "modality": volume.modality,
            "shape_kji": list(volume.shape),
            "channels": volume.channels,
            "spacing_ijk_mm": list(volume.spacing),
            "ijk_to_ras": volume.ijk_to_ras.tolist(),
            "axes_ijk": "".join(towards[::-1]),
            "type": str(volume.array.dtype),
            "range": values,
            "not_finite": missing,
        }
        print(json.dumps(facts, indent=2))
        return
    depth, height, width = volume.shape
    _print_facts(
        {
            "Image": volume.name,
            "Modality": volume.modality or "not stated",
            "Size": f"{width} x {height} x {depth}",
            "Spacing": " x ".join(f"{length:.4g}" for length in volume.spacing) + " mm",
            "Axes": "i, j, k run towards " + ", ".join(towards[::-1]),
            "Values": f"{volume.array.dtype}, {'colour' if volume.channels == 3 else 'grey'}",
            "Range": f"{values[0]:g} to {values[1]:g}" if values else "no finite value",
            "Not finite": f"{missing} values",
        },
        arguments,
    )


def _print_facts(facts: dict[str, Any], arguments: Namespace) -> None:
    if arguments.json:
        print(json.dumps(facts, indent=2))
        return
    width = max(map(len, facts)) + 2
    for name, value in facts.items():
        print(f"{name + ':':<{width}}{value}")
