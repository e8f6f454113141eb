"""A model whose card tells which weights it has, whatever kind of file it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from GDLACore.model.onnx_file import check_onnx_file
from GDLACore.weights.card_choice import agreed_card
from GDLACore.weights.exported import load_exported
from GDLACore.weights.loading import ModelWeights, load_weights
from GDLACore.weights.safetensors_file import weights_sha256


def load_identified(path: Path, card: str | Path | None) -> ModelWeights:
    """Return the weights at ``path`` with a card that has their hash; see ``load_weights``.

    ``path`` may be an exported network, too. By the hash, two computers see whether they mean the
    same weights, and one whether a server has others than a moment ago.

    Raises ModelFileError as ``load_weights`` and ``load_exported`` do.
    """
    if path.suffix.lower() == ".onnx":
        agreed = agreed_card(check_onnx_file(path), card, path)
        model = replace(load_exported(path), card=agreed)
    else:
        model = load_weights(path, card)
    if model.card.sha256 is not None:
        return model
    found = weights_sha256(sorted(model.tensors.items()))
    return replace(model, card=replace(model.card, sha256=found))
