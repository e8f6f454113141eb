"""What a test knows of the segments of two models: what is in them, and what of it runs left."""

from __future__ import annotations

import dataclasses

import numpy as np
import slicer
from phantom import make_card
from segmenting import voxels

SHAPE = (4, 4, 5)
ORGANS = make_card(("liver", "spleen"))
VESSELS = dataclasses.replace(make_card(("vein", "duct")), name="vessels")
CARDS = {
    "organs": ORGANS,
    "newer organs": dataclasses.replace(ORGANS, version="2.0"),
    "vessels": VESSELS,
}
NAMES = ["liver", "spleen", "vein", "duct"]


@dataclasses.dataclass(frozen=True, eq=False)
class Known:
    """Voxels of segments by name, and what of them runs left, as the test has it.

    A slice (k) in which they differ is the user's.
    """

    found: dict[str, np.ndarray]
    left: dict[str, np.ndarray]

    @property
    def edited(self) -> set[int]:
        pairs = [(self.found[name], self.left[name]) for name in NAMES]
        return {k for k in range(SHAPE[0]) if any((a[k] != b[k]).any() for a, b in pairs)}


def look(node: slicer.vtkMRMLSegmentationNode) -> dict[str, np.ndarray]:
    """Return the voxels [k, j, i] of the models' segments by name, none where there is none."""
    segmentation = node.GetSegmentation()
    return {
        name: voxels(node, name, SHAPE)
        if segmentation.GetSegmentIdBySegmentName(name)
        else np.zeros(SHAPE, bool)
        for name in NAMES
    }
