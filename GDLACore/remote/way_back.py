"""From what a served network gives to labels and confidence at the image's own size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from GDLACore.engine.confidence import confidence
from GDLACore.engine.label_maps import enlarged, enlarged_labels
from GDLACore.engine.protocol import label_type
from GDLACore.imaging.slice_resampling import SliceResampling
from GDLACore.model.card import ModelCard
from GDLACore.serving import contract


@dataclass(frozen=True, eq=False)
class WayBack:
    """What is asked of a server for slices of ``plan.shape``, and what is made of its outputs.

    The server enlarges: labels are all that has to travel. But "published" ``borders`` are enlarged
    here, by nearest neighbour, and labels are made here of logits where ``contract.needs_logits``.
    """

    card: ModelCard
    plan: SliceResampling
    borders: str

    @property
    def from_logits(self) -> bool:
        return self.borders != "published" and contract.needs_logits(self.card, self.plan.shape)

    @property
    def output(self) -> str:
        """Return which of the contract's outputs ``labels`` needs."""
        return contract.LOGITS if self.from_logits else contract.LABELS

    @property
    def outputs_for_confidence(self) -> tuple[str, ...]:
        """Return which outputs ``labels`` and ``confidence`` need together."""
        return (contract.LOGITS,) if self.from_logits else (contract.LABELS, contract.MARGIN)

    @property
    def asked_shape(self) -> tuple[int, int]:
        """Return the size (h, w) of the labels to ask for."""
        on_grid = self.from_logits or self.borders == "published"
        return (self.plan.size, self.plan.size) if on_grid else self.plan.shape

    def labels(self, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return labels [n, h, w] from ``outputs``."""
        if self.from_logits:
            kind = label_type(self.card)
            logits = outputs[contract.LOGITS]
            return np.stack([enlarged_labels(one, self.plan, kind) for one in logits])
        labels = outputs[contract.LABELS]
        return self.plan.labels_out(labels) if self.borders == "published" else labels

    def confidence(self, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return confidence, float16 [n, h, w], from ``outputs``; see ``engine.confidence``."""
        if self.from_logits:
            return np.stack([confidence(one, self.plan) for one in outputs[contract.LOGITS]])
        margins = outputs[contract.MARGIN].astype(np.float32)
        return np.stack([enlarged(one, self.plan) for one in margins]).astype(np.float16)
