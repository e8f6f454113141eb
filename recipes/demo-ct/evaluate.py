"""Compare the demonstration model with its reference masks on the patient it has never seen.

    python recipes/demo-ct/evaluate.py [MODEL]

Beside the model stands a baseline that looks at no grey values inside the body: it says, at every
place within the body's outline, what the training patient most often has there. A model that is
not clearly better has learnt nothing but where organs lie.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scipy import ndimage

from GDLACore.engine import load_engine
from GDLACore.imaging.measure import structure_table
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.reference import read_reference
from GDLACore.imaging.view import slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard
from GDLACore.options import BORDERS, SegmentOptions
from GDLACore.pipeline import segment_volume
from GDLACore.resources import resource_path
from GDLACore.training.dataset import Dataset, read_dataset

FOLDER = Path(__file__).resolve().parent
TRAINING_CASE = "abdomen"
SOFT_TISSUE = -200  # HU
GRID = 128


def main(model: str) -> None:
    """Print the table: structure, reference mL, Dice of baseline and model with both borders."""
    volume = read_volume(resource_path("samples", "ct-abdomen-dicom"))
    with load_engine(model, device="cpu") as engine:
        card = engine.card
        reference = read_reference(
            resource_path("samples", "ct-abdomen-reference.nii.gz"), volume, card
        )
        results = {"position only": _baseline(volume, card)}
        for borders in BORDERS:
            results[f"model, {borders}"] = segment_volume(
                volume, engine, SegmentOptions(borders=borders)
            )
    tables = {
        name: structure_table(labels, volume, card, reference) for name, labels in results.items()
    }
    print(f"{'structure':<16}{'reference mL':>14}" + "".join(f"{name:>18}" for name in tables))
    for label in card.labels:
        values = reference.values.get(label.value)
        if values is None:
            print(f"{label.name:<16}{'not labelled':>14}")
            continue
        ml = np.isin(reference.labels, values).sum() * volume.voxel_volume_ml
        dice = [rows[label.value - 1].dice for rows in tables.values()]
        print(f"{label.name:<16}{ml:>14.1f}" + "".join(f"{d or 0.0:>18.3f}" for d in dice))


def _baseline(volume: Volume, card: ModelCard) -> np.ndarray:
    dataset = read_dataset(FOLDER / "dataset.yaml")
    commonest = _commonest_labels(dataset, card)
    view = slice_view(volume, "axial", "identity")
    labels = np.zeros(volume.shape, np.uint8)
    for k in range(view.count):
        image = view.take(volume.array, [k])[0]
        box = _body(image)
        inside = np.zeros(image.shape, np.uint8)
        height, width = (side.stop - side.start for side in box)
        rows, columns = (np.arange(n) * GRID // n for n in (height, width))
        inside[box] = commonest[np.ix_(rows, columns)]
        view.put(labels, [k], inside[None])
    return labels


def _commonest_labels(dataset: Dataset, card: ModelCard) -> np.ndarray:
    """Return the commonest label at each place within the training body: [GRID, GRID]."""
    case = next(case for case in dataset.training if case.id == TRAINING_CASE)
    volume, classes = dataset.read(case)
    numbers = {name: n for n, name in enumerate(dataset.names, start=1)}
    view = slice_view(volume, "axial", "identity")
    counts = np.zeros((card.classes, GRID, GRID), int)
    for k in range(*case.slices):
        box = _body(view.take(volume.array, [k])[0])
        inside = view.take(classes, [k])[0][box]
        rows, columns = (np.arange(GRID) * n // GRID for n in inside.shape)
        stretched = inside[np.ix_(rows, columns)]
        for label in card.labels:
            counts[label.value] += stretched == numbers[label.name]
        counts[0] += ~np.isin(stretched, [numbers[label.name] for label in card.labels])
    return counts.argmax(axis=0).astype(np.uint8)


def _body(image: np.ndarray) -> tuple[slice, slice]:
    """Return the box around the largest connected piece of tissue in a slice in HU."""
    parts, count = ndimage.label(image > SOFT_TISSUE)
    if count == 0:
        return slice(0, image.shape[0]), slice(0, image.shape[1])
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return ndimage.find_objects(parts)[int(sizes.argmax()) - 1]


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "demo-ct")
