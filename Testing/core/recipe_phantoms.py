"""Tiny images of the kinds that the published data sets hold, and small cards for them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("yaml")  # training needs more than running a model does

from GDLACore.imaging.volume import Volume
from GDLACore.model.bundle import read_card_file
from GDLACore.model.card import Architecture, ModelCard
from GDLACore.model.catalogue import find
from GDLACore.training.dataset import Dataset

KVASIR = Path(__file__).resolve().parents[2] / "recipes/kvasir/card.json"

# Row and column of each Synapse label in a body of three by three.
_PLACES = ((2, 1), (0, 0), (2, 2), (2, 0), (1, 0), (1, 1), (1, 2), (0, 2))

# In the radiological view the patient's left is on the right.
LPS = np.diag([-1.0, -1.0, 5.0, 1.0])


@dataclass(frozen=True, eq=False)
class PhantomCase:
    """A case that is in memory."""

    id: str
    volume: Volume
    classes: np.ndarray
    unknown: frozenset[str] = frozenset()
    weight: float = 1.0
    slices: tuple[int, int] | None = None
    validation_slices: tuple[int, int] | None = None
    spacing_known: bool = True

    @property
    def patient(self) -> str:
        return self.id

    def read(self, names: tuple[str, ...]) -> tuple[Volume, np.ndarray]:
        return self.volume, self.classes

    def description(self) -> dict[str, Any]:
        return {"id": self.id}


def small_card(data_set: str, size: int = 64) -> ModelCard:
    """Return the card of a published data set for the smallest encoder."""
    card = read_card_file(KVASIR) if data_set == "kvasir" else find(data_set).card
    return dataclasses.replace(card, architecture=Architecture("b0", "gdla"), input_size=size)


def abdomen(card: ModelCard) -> PhantomCase:
    """Return a body of fat in air with a bright block for each organ of Synapse, where it belongs.

    A block is 100 HU and brighter by 20 HU with every label.
    """
    image = np.full((2, 72, 72), -1000, np.int16)
    image[:, 6:66, 4:68] = -100
    classes = np.zeros(image.shape, np.uint8)
    for label in card.labels:
        row, column = _PLACES[label.value - 1]
        rows, columns = (slice(start, start + 12) for start in (12 + 18 * row, 12 + 18 * column))
        image[:, rows, columns], classes[:, rows, columns] = 100 + 20 * label.value, label.value
    return PhantomCase("abdomen", Volume(image, LPS, "abdomen"), classes)


def heart(card: ModelCard) -> PhantomCase:
    """Return rings in a bright box; nothing of it is 0 or near the mean."""
    j, i = np.mgrid[:60, :52]
    distance = np.hypot(j - 28, i - 24)
    classes = np.select([distance < 7, distance < 12, abs(i - 42) + abs(j - 28) < 7], [3, 2, 1], 0)
    image = np.choose(classes, [100.0, 400.0, 200.0, 350.0]).astype(np.float32)
    image[:4] = 10.0
    stack = np.stack([image, image + 5])
    classes = np.stack([classes, classes]).astype(np.uint8)
    return PhantomCase("heart", Volume(stack, np.eye(4), "heart"), classes)


def outlined(case: PhantomCase) -> PhantomCase:
    """Return ``case`` with an image in which all structures are equally bright, and no others."""
    array = np.where(case.classes > 0, 250, 0).astype(case.volume.array.dtype)
    if case.volume.channels == 3:
        array = np.repeat(array[..., None], 3, axis=3)
    volume = Volume(array, case.volume.ijk_to_ras, case.id)
    return PhantomCase(case.id, volume, case.classes)


def picture(card: ModelCard, shape: tuple[int, int] = (60, 76)) -> PhantomCase:
    """Return a bright spot on dark skin, in colour."""
    j, i = np.mgrid[: shape[0], : shape[1]]
    spot = np.hypot(j - 0.4 * shape[0], i - 0.3 * shape[1]) < 0.2 * shape[0]
    texture = np.random.default_rng(0).integers(0, 20, (*shape, 3))
    array = np.where(spot[..., None], (220, 190, 200), (60, 50, 40)) + texture
    volume = Volume(array[None].astype(np.uint8), np.eye(4), "picture")
    return PhantomCase("picture", volume, spot[None].astype(np.uint8))


def phantom(card: ModelCard) -> PhantomCase:
    """Return an image of the kind that ``card`` is for."""
    return {"CT": abdomen, "MR": heart, "US": picture, "RGB": picture}[card.modality](card)


def phantom_dataset(
    card: ModelCard, *cases: PhantomCase, auxiliary: tuple[str, ...] = ()
) -> Dataset:
    """Return ``cases``, or one phantom, to learn from."""
    names = tuple(label.name for label in card.labels)
    return Dataset(names, auxiliary, cases or (phantom(card),), ())
