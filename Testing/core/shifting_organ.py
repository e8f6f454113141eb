"""A body with an organ that lies a little farther in each slice, and a network that misses it."""

from __future__ import annotations

import dataclasses

import numpy as np
from phantom import GEOMETRIES, make_card
from scipy.ndimage import gaussian_filter

from GDLACore.engine.label_maps import enlarged_labels
from GDLACore.engine.protocol import label_type
from GDLACore.imaging.slice_resampling import SliceResampling, slice_resampling
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard

ORGAN, OTHER = 1, 2
COUNT, STEP, RADIUS = 9, 2, 9  # slices; pixels from one to the next; pixels
CARD = dataclasses.replace(make_card(), resampling="antialias")
_ORGAN_HU, _OTHER_HU, _BODY_HU, _AIR_HU = 120, 200, 20, -900
_SEEN = 0.78  # of the window: brighter than the organ, darker than the other one
_SURE = 12.0  # logits


def shifting_organ(
    shape: tuple[int, int] = (96, 112), storage: str = "axial"
) -> tuple[Volume, np.ndarray]:
    """Return a CT with slices of 3 mm along k, and the organ's and the other's true labels."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    middle = shape[0] // 2, shape[1] // 2
    body = (rows - middle[0]) ** 2 / middle[0] ** 2 + (columns - middle[1]) ** 2 / middle[1] ** 2
    texture = gaussian_filter(np.random.default_rng(5).normal(0, 60, shape), 3)
    array, truth = np.empty((COUNT, *shape)), np.zeros((COUNT, *shape), np.uint8)
    for k in range(COUNT):
        across = middle[1] - STEP * (COUNT // 2 - k)
        organ = np.hypot(rows - middle[0], columns - across) <= RADIUS
        other = np.hypot(rows - middle[0], columns - 0.2 * shape[1]) <= 5
        array[k] = np.where(body < 0.9, _BODY_HU, _AIR_HU) + texture
        array[k][organ], array[k][other] = _ORGAN_HU, _OTHER_HU
        truth[k][organ], truth[k][other] = ORGAN, OTHER
        array[k] = gaussian_filter(array[k], 0.7)
    ijk_to_ras = np.eye(4)
    ijk_to_ras[:3, :3] = GEOMETRIES[storage] * (0.8, 0.8, 3.0)
    return Volume(array.astype(np.int16), ijk_to_ras, "shifting organ", "CT"), truth


class BlindEngine:
    """Sees the other structure, but takes the organ for background, and is sure of it."""

    in_flight = 1

    def __init__(self, card: ModelCard = CARD, batch_size: int = 2) -> None:
        self.card = card
        self.batch_size = batch_size

    def predict(self, slices: np.ndarray, borders: str) -> np.ndarray:
        plan, kind = self._plan(slices), label_type(self.card)
        scores = self.scores(slices)
        if borders == "published":
            return plan.labels_out(scores.argmax(axis=1).astype(kind))
        return np.stack([enlarged_labels(one, plan, kind) for one in scores])

    def predict_with_confidence(
        self, slices: np.ndarray, borders: str
    ) -> tuple[np.ndarray, np.ndarray]:
        return self.predict(slices, borders), np.ones(slices[:, 0].shape, np.float16)

    def scores(self, slices: np.ndarray) -> np.ndarray:
        plan = self._plan(slices)
        images = plan.rows @ slices[:, 0] @ plan.columns.T
        scores = np.zeros((len(images), self.card.classes, *images.shape[1:]), np.float32)
        scores[:, 0] = _SURE
        scores[:, OTHER] = _SURE + 60 * (images - _SEEN)
        return scores

    def _plan(self, slices: np.ndarray) -> SliceResampling:
        return slice_resampling(self.card.resampling, slices.shape[2:], self.card.input_size)


def dice(found: np.ndarray, truth: np.ndarray, label: int) -> float:
    one, other = found == label, truth == label
    return 2 * (one & other).sum() / (one.sum() + other.sum())
