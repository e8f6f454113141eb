"""Weights read back from an ONNX file compute what the file's network computes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from exported import image, logits, session, small_model

from GDLACore.errors import ModelFileError
from GDLACore.export.model_file import onnx_model, write_onnx_model
from GDLACore.model.card import MIXERS
from GDLACore.weights.exported import load_exported


@pytest.mark.parametrize("mixer", MIXERS)
@pytest.mark.parametrize("in_channels", [1, 3])
def test_weights_read_back_compute_the_same(tmp_path: Path, mixer: str, in_channels: int) -> None:
    model = small_model(mixer, in_channels)
    path = write_onnx_model(tmp_path / "model.onnx", model)
    again = load_exported(path)
    assert again.card == model.card
    x = image(1, in_channels, 64, 64)
    expected, found = logits(model, x), logits(again, x)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_half_precision_is_read_back_too(tmp_path: Path) -> None:
    model = small_model()
    path = write_onnx_model(tmp_path / "model.onnx", model, "fp16")
    x = image(1, 1, 64, 64)
    expected = session(onnx_model(model, "fp16")).run(["logits"], {"image": x})[0]
    assert np.abs(logits(load_exported(path), x) - expected).max() < 0.02 * np.abs(expected).max()


def test_a_network_of_another_shape_than_its_card_is_refused(tmp_path: Path) -> None:
    model = small_model()
    card = replace(model.card, architecture=replace(model.card.architecture, encoder="b2"))
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_model(replace(model, card=card)))
    with pytest.raises(ModelFileError, match="model.onnx"):
        load_exported(path)
