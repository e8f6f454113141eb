"""The sample CT as a model's network takes it, and its logits as labels on the sample's grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from GDLACore.imaging.intensity import normaliser
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.slice_resampling import SliceResampling, slice_resampling
from GDLACore.imaging.view import slice_view
from GDLACore.model.card import ModelCard
from GDLACore.resources import resource_path


@dataclass(frozen=True, eq=False)
class Sample:
    """``images`` are float32 [n, 1, s, s], one for each slice, as a CT model's network takes them.

    ``resampling`` made them from the slices.
    """

    images: np.ndarray
    resampling: SliceResampling

    def labels(self, logits: np.ndarray) -> np.ndarray:
        """Return the largest class of ``logits`` [n, classes, s, s] on the slices' own grid."""
        return self.resampling.labels_out(logits.argmax(axis=1).astype(np.uint8))


def read_sample(card: ModelCard, count: int) -> Sample:
    """Return the first ``count`` slices of the sample CT, or all if 0, for ``card``'s model."""
    volume = read_volume(resource_path("samples", "ct-abdomen-dicom"))
    view = slice_view(volume, card.slice_axis, card.view)
    slices = view.take(volume.array, range(count or view.count))
    slices = normaliser(card.intensity, volume.array)(slices)
    plan = slice_resampling(card.resampling, slices.shape[1:], card.input_size)
    images = plan.rows.astype(np.float32) @ slices @ plan.columns.astype(np.float32).T
    return Sample(np.ascontiguousarray(images[:, None]), plan)
