"""Slices that the user corrected, and what they change in those beside them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from GDLACore.engine.label_maps import enlarged
from GDLACore.engine.protocol import Engine
from GDLACore.errors import VolumeError
from GDLACore.imaging.slice_resampling import slice_resampling
from GDLACore.imaging.view import check_slices
from GDLACore.options import UNSAID
from GDLACore.review.propagation import Change, addition, change_of, reassured, relabelled

if TYPE_CHECKING:
    from GDLACore.pipeline import PreparedVolume, SliceResult


class Corrections:
    """Corrected slices of a volume, ready to be carried into their neighbours.

    ``labels`` are 2-D and whole numbers, as ``take(index, axis)`` of labels [k, j, i] gives them,
    by the index of their slice; where one is ``UNSAID``, the network is not contradicted.
    ``borders`` are those that the slices were segmented with before they were corrected. Raises
    VolumeError if a slice does not fit the volume or the model.
    """

    def __init__(
        self,
        prepared: PreparedVolume,
        engine: Engine,
        borders: str,
        labels: Mapping[int, np.ndarray],
    ) -> None:
        self._prepared = prepared
        self._engine = engine
        self._borders = borders
        self._labels = {index: self._turned(index, one) for index, one in labels.items()}
        axis = prepared.view.axes[0]
        self._step = prepared.volume.spacing[2 - axis]
        # Every slice asks for the nearest on its two sides, and slices are asked for in order.
        self._change = lru_cache(maxsize=4)(self._computed_change)

    def applied(self, result: SliceResult) -> SliceResult:
        """Return ``result``, the network's, with what the corrections make of it.

        A corrected slice is what the user made of it, and the network's where that is unsaid; one
        without a corrected slice on either side stays the network's. ``confidence`` is that of
        the labels; in a corrected slice it remains the network's.
        """
        labels = result.labels.copy()
        sure = None if result.confidence is None else result.confidence.copy()
        for place, index in enumerate(result.indices):
            if index in self._labels:
                labels[place] = self._made_of(index, labels[place])
            elif additions := self._additions(index):
                logits = self._logits(index)
                labels[place] = relabelled(labels[place], logits, additions)
                if sure is not None:
                    sure[place] = reassured(sure[place], logits, additions)
        return dataclasses.replace(result, labels=labels, confidence=sure)

    def _additions(self, index: int) -> list[tuple[Change, np.ndarray]]:
        """Return what the nearest corrected slices add to the logits of slice ``index``."""
        parts, image = [], None
        for corrected, share in self._nearest(index):
            found = self._change(corrected)
            if found is not None:
                image = self._image(index) if image is None else image
                distance = self._step * abs(corrected - index)
                parts.append((found, share * addition(found, image, distance)))
        return parts

    def _nearest(self, index: int) -> list[tuple[int, float]]:
        """Return the nearest corrected slices, one on each side, and the share of their say.

        Between two of them it is that of linear interpolation.
        """
        below = max((one for one in self._labels if one < index), default=None)
        above = min((one for one in self._labels if one > index), default=None)
        if below is None or above is None:
            return [(one, 1.0) for one in (below, above) if one is not None]
        share = (index - below) / (above - below)
        return [(below, 1 - share), (above, share)]

    def _computed_change(self, index: int) -> Change | None:
        found = self._engine.predict(self._prepared.images([index]), self._borders)[0]
        corrected = self._made_of(index, found)
        return change_of(self._image(index), self._logits(index), found, corrected)

    def _made_of(self, index: int, found: np.ndarray) -> np.ndarray:
        """Return what the user made of the network's labels ``found`` [h, w] of that slice."""
        corrected = self._labels[index]
        return np.where(corrected == UNSAID, found, corrected).astype(found.dtype)

    def _image(self, index: int) -> np.ndarray:
        return self._prepared.images([index])[0].mean(axis=0)

    def _logits(self, index: int) -> np.ndarray:
        """Return the network's logits on the slice's own grid, float32 [classes, h, w]."""
        card = self._prepared.card
        shape = self._prepared.view.slice_shape
        plan = slice_resampling(card.resampling, shape, card.input_size)
        scores = self._engine.scores(self._prepared.images([index]))[0]
        return np.stack([enlarged(one, plan) for one in scores])

    def _turned(self, index: int, labels: np.ndarray) -> np.ndarray:
        """Return the labels of a slice, which were stored as the volume is, as the network sees it.

        Raises VolumeError if they do not fit.
        """
        volume, view, card = (getattr(self._prepared, n) for n in ("volume", "view", "card"))
        check_slices(range(index, index + 1), view.count, volume.name)
        axis = view.axes[0]
        expected = tuple(np.delete(volume.shape, axis).tolist())
        if labels.shape != expected:
            raise VolumeError(
                f"The corrected slice {index} has {' x '.join(map(str, labels.shape))} pixels, but "
                f"those of {volume.name} have {expected[0]} x {expected[1]}.",
                "Segment the volume that was corrected.",
            )
        known = (labels >= 0) & (labels <= len(card.labels)) | (labels == UNSAID)
        if labels.dtype.kind not in "iu" or not known.all():
            raise VolumeError(
                f"The corrected slice {index} has labels that the model {card.name} does not know.",
                "Correct what this model segmented.",
            )
        slab = np.expand_dims(labels, axis)
        single = dataclasses.replace(view, count=1)
        return np.ascontiguousarray(single.take(slab, [0])[0], np.uint16)
