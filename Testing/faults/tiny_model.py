"""The smallest real model, as the file that users exchange."""

from __future__ import annotations

from pathlib import Path

import golden
from phantom import make_card

from GDLACore.export.model_file import write_onnx_model
from GDLACore.weights.loading import ModelWeights
from GDLACore.weights.shapes import weight_shapes


def write_tiny_model(path: Path) -> Path:
    """Write PVTv2-b0 for 64 x 64 pixels, with weights that nobody has trained, to ``path``."""
    card = make_card()
    shapes = weight_shapes(card.architecture, card.in_channels, card.classes)
    weights = ModelWeights(card, golden.recipe_weights(shapes), Path("recipe"))
    return write_onnx_model(path, weights)
