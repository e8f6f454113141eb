"""Engines to test with: a rule that counts what it is asked, and the smallest real network."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import golden
import numpy as np
from phantom import make_card

from GDLACore.engine.onnx_engine import OnnxEngine
from GDLACore.engine.protocol import label_type
from GDLACore.export.model_file import onnx_model
from GDLACore.model.card import IntensityProfile, ModelCard
from GDLACore.weights.loading import ModelWeights
from GDLACore.weights.shapes import weight_shapes


class RecordingEngine:
    """Calls what is brighter than the middle of the window the first structure."""

    in_flight = 1

    def __init__(self, card: ModelCard, batch_size: int = 2) -> None:
        self.card = card
        self.batch_size = batch_size
        self.asked: list[np.ndarray] = []
        self.borders: set[str] = set()

    def predict(self, slices: np.ndarray, borders: str) -> np.ndarray:
        self.asked.append(slices)
        self.borders.add(borders)
        return (slices[:, 0] > 0.5).astype(label_type(self.card))

    def predict_with_confidence(
        self, slices: np.ndarray, borders: str
    ) -> tuple[np.ndarray, np.ndarray]:
        confidence = np.abs(2 * slices[:, 0] - 1).clip(0, 1).astype(np.float16)
        return self.predict(slices, borders), confidence


def make_model_card(modality: str = "CT", in_channels: int = 1, **fields: object) -> ModelCard:
    """Return a card for ``modality``, with ``fields`` changed."""
    card = make_card()
    if modality != "CT":
        colour = in_channels == 3
        fields = {
            "intensity": IntensityProfile("minmax_image" if colour else "zscore_volume"),
            "resampling": "antialias" if colour else "spline3",
            "slice_axis": "acquisition",
            **fields,
        }
    return dataclasses.replace(card, modality=modality, in_channels=in_channels, **fields)


def make_engine(card: ModelCard | None = None, threads: int | None = None) -> OnnxEngine:
    """Return a real engine on the CPU: the network of ``card`` with the golden recipe's weights.

    They are no one's training, but tell structures apart after a fashion.
    """
    card = card or make_card()
    shapes = weight_shapes(card.architecture, card.in_channels, card.classes)
    weights = ModelWeights(card, golden.recipe_weights(shapes), Path("recipe"))
    return OnnxEngine(onnx_model(weights), card, "cpu", threads)
