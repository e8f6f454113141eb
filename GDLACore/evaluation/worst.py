"""The worst found of each structure, as small pictures of one slice, kept while images pass by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from GDLACore.evaluation.results import Picture, Row
from GDLACore.evaluation.scores import ABSENT
from GDLACore.imaging.view import SliceView

PICTURES = 2  # for each structure


class Worst:
    """Keeps, of each structure, the ``PICTURES`` images with the lowest Dice, if it is below 1."""

    def __init__(self, structures: Sequence[str]) -> None:
        self._kept: dict[str, list[Picture]] = {name: [] for name in structures}

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Structure by structure, the worst image first."""
        return tuple(picture for kept in self._kept.values() for picture in kept)

    def see(
        self,
        row: Row,
        prediction: np.ndarray,
        reference: np.ndarray,
        image: np.ndarray,
        view: SliceView,
        spacing: Sequence[float],
    ) -> None:
        """Keep a slice of this image if it is among the worst.

        Masks are bool [k, j, i], ``image`` [k, j, i] or [k, j, i, 3]; ``spacing`` is along k, j, i,
        in the unit of ``row``.
        """
        kept, scores = self._kept[row.structure], row.scores
        if scores.outcome == ABSENT or scores.dice == 1.0:
            return
        if len(kept) == PICTURES and scores.dice >= kept[-1].scores.dice:
            return
        across = tuple(axis for axis in range(3) if axis != view.axes[0])
        wrong = np.count_nonzero(prediction != reference, axis=across)
        index = int(wrong.argmax())
        rows, columns = (spacing[axis] for axis in view.axes[1:])
        kept.append(
            Picture(
                case=row.case,
                structure=row.structure,
                scores=scores,
                index=index,
                wrong=int(wrong[index]),
                image=view.take(image, [index])[0].copy(),
                prediction=view.take(prediction, [index])[0].copy(),
                reference=view.take(reference, [index])[0].copy(),
                spacing=(rows, columns),
                unit=row.unit,
            )
        )
        kept.sort(key=lambda picture: picture.scores.dice)
        del kept[PICTURES:]
