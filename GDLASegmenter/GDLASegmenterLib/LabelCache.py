"""Labels of single slices that are known already."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

import numpy as np

_BYTES = 64 << 20


class LabelCache:
    """The labels of the slices that were looked at last, by what they depend on and their index."""

    def __init__(self) -> None:
        self._labels: OrderedDict[tuple[Hashable, int], np.ndarray] = OrderedDict()
        self._bytes = 0

    def find(self, source: Hashable, index: int) -> np.ndarray | None:
        labels = self._labels.get((source, index))
        if labels is not None:
            self._labels.move_to_end((source, index))
        return labels

    def keep(self, source: Hashable, index: int, labels: np.ndarray) -> None:
        previous = self._labels.pop((source, index), None)
        self._bytes += labels.nbytes - (0 if previous is None else previous.nbytes)
        self._labels[source, index] = labels
        while self._bytes > _BYTES and len(self._labels) > 1:
            self._bytes -= self._labels.popitem(last=False)[1].nbytes
