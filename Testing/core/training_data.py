"""A small, learnable training set: bright balls in noise, one grey level per structure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from phantom import make_card

yaml = pytest.importorskip("yaml")  # training needs more than running a model does

STRUCTURES = ("liver", "spleen")


def write_case(folder: Path, name: str, seed: int) -> dict[str, Any]:
    """Write one CT-like image and its labels; return its entry for the dataset file."""
    random = np.random.default_rng(seed)
    k, j, i = np.mgrid[:12, :48, :48]
    labels = np.zeros((12, 48, 48), np.uint8)
    for value, centre in ((5, (6, 20, 14)), (1, (6, 26, 34))):
        distance = np.sqrt((3 * (k - centre[0])) ** 2 + (j - centre[1]) ** 2 + (i - centre[2]) ** 2)
        labels[distance < 9] = value
    image = random.normal(-60, 15, labels.shape) + 160.0 * (labels == 5) + 260.0 * (labels == 1)
    for kind, array in (("image", image.astype(np.int16)), ("labels", labels)):
        picture = sitk.GetImageFromArray(array)
        picture.SetSpacing((6.0, 6.0, 8.0))
        sitk.WriteImage(picture, str(folder / f"{name}-{kind}.nii.gz"))
    return {
        "id": name,
        "patient": name,
        "image": f"{name}-image.nii.gz",
        "labels": f"{name}-labels.nii.gz",
        "values": {"liver": 5, "spleen": [1]},
    }


def write_dataset(folder: Path, **changes: Any) -> Path:
    """Write two cases, "a" to learn from and "b" held out, and their dataset file."""
    data = {
        "structures": list(STRUCTURES),
        "validation_patients": ["b"],
        "cases": [write_case(folder, "a", 1), write_case(folder, "b", 2)],
        **changes,
    }
    path = folder / "dataset.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


def write_plan(folder: Path, **recipe: Any) -> Path:
    """Write a dataset, a card for b0 at 64 x 64 and a training file; return the training file."""
    write_dataset(folder)
    (folder / "card.json").write_text(make_card(STRUCTURES).to_json(), encoding="utf-8")
    settings = {"iterations": 6, "validate_every": 2, "warm_up": 2, "batch_size": 2, **recipe}
    plan = {"card": "card.json", "dataset": "dataset.yaml", "recipe": settings}
    path = folder / "train.yaml"
    path.write_text(yaml.safe_dump(plan), encoding="utf-8")
    return path
