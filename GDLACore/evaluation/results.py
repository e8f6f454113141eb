"""The scores of a split of a dataset: image by image, structure by structure, and their means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from GDLACore.evaluation.intervals import Mean, Measurement, mean_of
from GDLACore.evaluation.scores import OUTCOMES, PaperScores, Scores

SPLITS = ("test", "validation", "training")
PROTOCOLS = ("native", "paper")

MILLIMETRES, VOXELS = "mm", "voxels"

# What has a mean: the fields of Scores and PaperScores that measure agreement.
MEASURES = ("dice", "hd95", "nsd", "assd", "volume_difference_ml", "volume_difference_percent")
PAPER_MEASURES = ("dice", "hd95_voxels")
# What is a length, or a share within one: mm and voxels have no mean together.
_LENGTHS = ("hd95", "nsd", "assd")


@dataclass(frozen=True)
class Row:
    """One structure of one image. ``unit`` is that of its lengths: "mm", or "voxels".

    ``paper``: None unless the evaluation followed the paper's protocol too.
    """

    case: str
    patient: str
    structure: str
    unit: str
    scores: Scores
    paper: PaperScores | None = None


@dataclass(frozen=True, eq=False)
class Picture:
    """The slice of an image in which most voxels of a structure are wrong.

    ``image`` [h, w] or [h, w, 3] holds stored values in radiological display, ``prediction`` and
    ``reference`` bool [h, w]. ``spacing``: of rows and columns, in ``unit``, which is that of the
    scores, too. ``wrong``: voxels of the slice.
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
    unit: str


@dataclass(frozen=True)
class Summary:
    """A structure's rows, or those of all structures, in numbers.

    ``outcomes`` counts the images by "found", "missed", "false" and "absent". ``means`` and
    ``paper_means`` hold, for every measure (``MEASURES``, ``PAPER_MEASURES``), its mean over the
    images where it is defined, None if there are none, or if it is of lengths (HD95, NSD, ASSD) in
    mm and in voxels.
    """

    structure: str
    outcomes: Mapping[str, int]
    means: Mapping[str, Mean | None]
    paper_means: Mapping[str, Mean | None]


@dataclass(frozen=True)
class Evaluation:
    """The scores of one split. ``tolerances``: of the normalised surface distance, by structure.

    ``worst``: the slices with most wrong voxels of the images with the lowest Dice.
    ``picture_size``: side of the squares that the paper's scores were taken on, None: native grid.
    """

    split: str
    protocol: str
    structures: tuple[str, ...]
    tolerances: Mapping[str, float]
    rows: tuple[Row, ...]
    worst: tuple[Picture, ...]
    picture_size: int | None = None

    @property
    def patients(self) -> int:
        """How many patients the images show."""
        return len({row.patient for row in self.rows})

    @property
    def unscored(self) -> tuple[str, ...]:
        """The structures that no image is annotated for."""
        scored = {row.structure for row in self.rows}
        return tuple(name for name in self.structures if name not in scored)

    @property
    def unit(self) -> str:
        """The unit of all lengths, "mm or voxels" if the images differ in whether it is known."""
        return " or ".join(sorted({row.unit for row in self.rows}))

    @property
    def mixed_units(self) -> bool:
        """Whether some lengths are in mm and others in voxels: they have no mean together."""
        return len({row.unit for row in self.rows}) > 1

    def summary(self) -> tuple[Summary, ...]:
        """Return a summary of each structure that was scored, in order."""
        return self._summaries

    def overall(self) -> Summary:
        """Return the summary of all structures: means are over structures of their means."""
        return self._overall

    def told(self) -> tuple[Summary, ...]:
        """Return what a table tells: each structure, and all together if there are several."""
        several = len(self.summary()) > 1
        return (*self.summary(), *([self.overall()] if several else []))

    @cached_property
    def _summaries(self) -> tuple[Summary, ...]:
        return tuple(
            self._summary(name, [row for row in self.rows if row.structure == name])
            for name in self.structures
            if name not in self.unscored
        )

    @cached_property
    def _overall(self) -> Summary:
        return self._summary("All structures", self.rows)

    def _summary(self, name: str, rows: Sequence[Row]) -> Summary:
        paper = [] if self.protocol == "native" else PAPER_MEASURES
        return Summary(
            structure=name,
            outcomes={o: sum(row.scores.outcome == o for row in rows) for o in OUTCOMES},
            means={measure: _mean(rows, "scores", measure) for measure in MEASURES},
            paper_means={measure: _mean(rows, "paper", measure) for measure in paper},
        )


def _mean(rows: Sequence[Row], part: str, measure: str) -> Mean | None:
    found, units = [], set()
    for row in rows:
        scores = getattr(row, part)
        value = None if scores is None else getattr(scores, measure)
        if value is not None:
            found.append(Measurement(row.patient, row.structure, value))
            units.add(row.unit)
    if measure in _LENGTHS and len(units) > 1:
        return None
    return mean_of(found)
