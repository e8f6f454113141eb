"""What tests of the preview share: somebody who wants slices, and the overlay to be compared."""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util
from segmenting import MODEL, Bench, label_map

from GDLACore.errors import GDLAError
from GDLACore.worker import ModelRequest
from GDLASegmenterLib.LivePreview import LivePreview
from GDLASegmenterLib.SlicePreviews import SlicePreview


class Viewer:
    """Somebody who wants slices, and what came of it."""

    def __init__(self, bench: Bench) -> None:
        self.previews: list[SlicePreview] = []
        self.errors: list[GDLAError] = []
        self._bench = bench

    def want(self, volume, index: int, model: ModelRequest = MODEL, borders="smooth") -> None:
        card = self._bench.card
        self._bench.logic.previews.want(
            volume, model, card, borders, index, self.on_labels, self.on_error
        )

    def on_labels(self, preview: SlicePreview) -> None:
        self.previews.append(preview)

    def on_error(self, error: GDLAError) -> None:
        self.errors.append(error)

    @property
    def indices(self) -> list[int]:
        return [preview.index for preview in self.previews]


def asked(bench: Bench) -> list[tuple[int, ...]]:
    """Return the slices of each request to the worker."""
    return [request.indices for request in bench.worker.previews]


def settle(bench: Bench, live: LivePreview | None = None) -> None:
    """Let the worker work, and ``live`` notice, until nothing is on its way."""

    def is_settled() -> bool:
        if live is not None:
            live.update()
        return not bench.logic.previews.isWaiting

    bench.until(is_settled)


def overlays(scene: slicer.vtkMRMLScene) -> list[slicer.vtkMRMLSegmentationNode]:
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene)
    return [node for node in nodes if node.GetHideFromEditors()]


def check_overlay(live: LivePreview, bench: Bench, scene, labels: np.ndarray) -> None:
    """Compare what the overlay holds, which must be one slice (axis 0) or nothing, with it."""
    if live.index is None and not overlays(scene):
        return
    (overlay,) = overlays(scene)
    expected = np.zeros(labels.shape, np.uint8)
    if live.index is not None:
        expected[live.index] = labels[live.index]
    np.testing.assert_array_equal(label_map(overlay, bench.card, labels.shape), expected)
