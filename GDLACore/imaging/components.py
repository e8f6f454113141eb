"""Clean-up of a label map: only the largest connected part of every structure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

# Voxels that share a face, an edge or a corner belong together.
_NEIGHBOURHOOD = np.ones((3, 3, 3), bool)


def keep_largest_components(labels: np.ndarray, structures: int) -> Iterator[int]:
    """Clear, in place, all but the largest 26-connected part of labels 1 to ``structures``.

    ``labels`` [k, j, i]. Of equally large parts all stay: choosing one would depend on the order in
    which the volume is stored. Yields the number of structures done after each.
    """
    boxes = ndimage.find_objects(labels, structures)
    for value, box in enumerate(boxes, start=1):
        if box is not None:
            _keep_largest(labels[box], value)
        yield value


def _keep_largest(labels: np.ndarray, value: int) -> None:
    parts, count = ndimage.label(labels == value, _NEIGHBOURHOOD)
    if count > 1:
        sizes = np.bincount(parts.ravel())
        largest = sizes[1:].max()
        sizes[0] = largest  # what is not this structure stays as it is
        labels[(sizes < largest)[parts]] = 0
