"""The worst found of each structure, as small pictures of one slice, kept while images pass by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from GDLACore.evaluation.scores import ABSENT, Scores
from GDLACore.imaging.view import SliceView
from GDLACore.imaging.volume import Volume

PICTURES = 2  # for each structure


@dataclass(frozen=True, eq=False)
class Picture:
    """The slice of an image in which most voxels of a structure are wrong.

    ``image`` [h, w] or [h, w, 3] holds stored values in radiological display, ``prediction`` and
    ``reference`` bool [h, w]. ``spacing``: of rows and columns. ``wrong``: voxels of the slice.
    """

    case: str
    structure: str
    scores: Scores
    index: int
    wrong: int
    image: np.ndarray
    prediction: np.ndarray
    reference: np.ndarray
    spacing: tuple[float, float]


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
        case: str,
        structure: str,
        scores: Scores,
        prediction: np.ndarray,
        reference: np.ndarray,
        volume: Volume,
        view: SliceView,
    ) -> None:
        """Keep a slice of this image if it is among the worst; masks are bool [k, j, i]."""
        kept = self._kept[structure]
        if scores.outcome == ABSENT or scores.dice == 1.0:
            return
        if len(kept) == PICTURES and scores.dice >= kept[-1].scores.dice:
            return
        across = tuple(axis for axis in range(3) if axis != view.axes[0])
        wrong = np.count_nonzero(prediction != reference, axis=across)
        index = int(wrong.argmax())
        rows, columns = (volume.spacing[2 - axis] for axis in view.axes[1:])
        kept.append(
            Picture(
                case=case,
                structure=structure,
                scores=scores,
                index=index,
                wrong=int(wrong[index]),
                image=view.take(volume.array, [index])[0].copy(),
                prediction=view.take(prediction, [index])[0].copy(),
                reference=view.take(reference, [index])[0].copy(),
                spacing=(rows, columns),
            )
        )
        kept.sort(key=lambda picture: picture.scores.dice)
        del kept[PICTURES:]
