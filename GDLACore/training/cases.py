"""What a training, an evaluation or a comparison asks of one annotated image."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from GDLACore.imaging.volume import Volume

IGNORED = 255  # the class of voxels that nobody annotated


class Case(Protocol):
    """One image with its annotation, not yet read.

    Attributes:
        id: unique within a dataset.
        patient: whom the image shows; all cases of a patient are in the same split.
        weight: how often the case is drawn, relative to the others.
        unknown: structures that the annotation does not tell about, though the image may show them.
        slices: stored slices a <= k < b, across the card's slice axis, to learn from; None is all.
        validation_slices: slices that are not learnt from, for monitoring; None is all of a case
            that is held out, and none of a case that is learnt from.
        spacing_known: whether the spacing of the volume is one in mm. Pictures and arrays have
            none: their voxels count as 1 mm wide.
    """

    @property
    def id(self) -> str: ...

    @property
    def patient(self) -> str: ...

    @property
    def weight(self) -> float: ...

    @property
    def unknown(self) -> frozenset[str]: ...

    @property
    def slices(self) -> tuple[int, int] | None: ...

    @property
    def validation_slices(self) -> tuple[int, int] | None: ...

    @property
    def spacing_known(self) -> bool: ...

    def read(self, names: tuple[str, ...]) -> tuple[Volume, np.ndarray]:
        """Return the image and its classes, uint8 [k, j, i]: 1 is ``names[0]``, ..., or IGNORED.

        Raises VolumeError or TrainingError, naming the file, if that cannot be had.
        """

    def description(self) -> dict[str, Any]:
        """Return, for JSON, what the case teaches, with the SHA-256 of its files for their paths.

        Cases of one kind whose descriptions are equal, apart from the attributes above, return the
        same from ``read``.
        """
