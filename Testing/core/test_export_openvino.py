"""The exported graph in another runtime, which makes other things of the same operators."""

from __future__ import annotations

import numpy as np
import pytest
from exported import image, logits, small_model

from GDLACore.export.model_file import onnx_model
from GDLACore.model.card import MIXERS

openvino = pytest.importorskip("openvino")

TOLERANCE = 5e-5


@pytest.mark.parametrize("mixer", MIXERS)
def test_openvino_agrees_whether_the_shape_of_the_images_is_fixed_or_free(mixer: str) -> None:
    model = small_model(mixer)
    x = image(1, 1, 64, 96)
    expected = logits(model, x)
    core = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    network = core.read_model(onnx_model(model))
    free = core.compile_model(network, "CPU", settings)(x)["logits"]
    np.testing.assert_allclose(free, expected, rtol=0, atol=TOLERANCE)
    network.reshape(list(x.shape))
    fixed = core.compile_model(network, "CPU", settings)(x)["logits"]
    np.testing.assert_allclose(fixed, expected, rtol=0, atol=TOLERANCE)
