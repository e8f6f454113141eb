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

    A slice (k) in which they differ is the user's, unless it holds what the user ``released``.
    """

    found: dict[str, np.ndarray]
    left: dict[str, np.ndarray]
    released: list[tuple[int, dict[str, np.ndarray]]] = dataclasses.field(default_factory=list)

    @property
    def edited(self) -> set[int]:
        return {k for k in range(SHAPE[0]) if any(self._is_edited(name, k) for name in NAMES)}

    def _is_edited(self, name: str, k: int) -> bool:
        free = [self.left[name][k], *(there[name] for one, there in self.released if one == k)]
        return not any(np.array_equal(self.found[name][k], one) for one in free)

    def release(self, k: int) -> None:
        """What slice ``k`` holds now, or what runs left there, is no edit, in no state at all."""
        for now in (self.found, self.left):
            self.released.append((k, {name: now[name][k].copy() for name in NAMES}))

    def changed(self, found: dict[str, np.ndarray], left: dict[str, np.ndarray]) -> Known:
        """Return the same with other voxels; what was released stays so."""
        return dataclasses.replace(self, found=found, left=left)


def look(node: slicer.vtkMRMLSegmentationNode) -> dict[str, np.ndarray]:
    """Return the voxels [k, j, i] of the models' segments by name, none where there is none."""
    segmentation = node.GetSegmentation()
    return {
        name: voxels(node, name, SHAPE)
        if segmentation.GetSegmentIdBySegmentName(name)
        else np.zeros(SHAPE, bool)
        for name in NAMES
    }
