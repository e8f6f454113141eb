"""What is exported computes what PyTorch does, for every member of the family."""

from __future__ import annotations

import numpy as np
import pytest
from exported import changed, image, logits, random_model, session, small_model
from torch_reference import assert_near, assert_same, torch_logits, torch_network

from GDLACore.model.card import ENCODERS, MIXERS


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_encoder_gives_the_logits_of_pytorch(encoder: str) -> None:
    model = random_model(encoder)
    shape = (1, 1, 32, 32) if encoder in ("b3", "b4", "b5") else (1, 1, 64, 96)
    x = image(*shape)
    assert_same(logits(model, x), torch_logits(torch_network(model), x))


@pytest.mark.parametrize(("in_channels", "classes"), [(1, 2), (1, 30), (3, 2), (3, 14)])
def test_every_task_gives_the_logits_of_pytorch(in_channels: int, classes: int) -> None:
    model = small_model("gdla", in_channels, classes)
    x = image(1, in_channels, 64, 64)
    assert_same(logits(model, x), torch_logits(torch_network(model), x))


@pytest.mark.parametrize("mixer", MIXERS)
def test_every_mixer_gives_the_logits_of_pytorch_on_every_shape(mixer: str) -> None:
    model = small_model(mixer)
    shared, network = session(model), torch_network(model)
    for shape in ((1, 1, 32, 96), (1, 1, 64, 32), (3, 1, 96, 64), (1, 1, 224, 160)):
        x = image(*shape)
        assert_same(logits(shared, x), torch_logits(network, x))


IMAGES = {
    "nothing": np.zeros((1, 1, 64, 64), np.float32),
    "one value": np.full((1, 1, 64, 96), -3.5, np.float32),
    "plus and minus 1000": np.where(image(1, 1, 64, 64) > 0, np.float32(1000), np.float32(-1000)),
    "far from zero": image(1, 1, 64, 64) + np.float32(1e5),
    "one bright pixel": np.zeros((1, 1, 64, 64), np.float32),
    "as small as numbers get": image(1, 1, 64, 64) * np.float32(1e-38),
}
IMAGES["one bright pixel"][0, 0, 17, 33] = 1e6


@pytest.mark.parametrize("mixer", MIXERS)
def test_extreme_images_give_the_finite_logits_of_pytorch(mixer: str) -> None:
    model = small_model(mixer)
    shared, network = session(model), torch_network(model)
    for x in IMAGES.values():
        assert_near(logits(shared, x), torch_logits(network, x))


# Which weights are multiplied, and by how much.
CHANGES = [
    ("gdla", ".attn.q.weight", 5),  # almost a choice of one
    ("gdla", ".attn.q.bias", 300),
    ("gdla", ".attn.kv.bias", 300),
    ("gdla", ".attn.kv.weight", 1e-4),
    ("gdla", ".attn.proj.", 1e3),
    ("gdla", ".qkvg.", 300),  # where exp overflows
    ("softmax", ".qkv.", 3),
    ("differential", ".qkv.", 3),
    ("linear", ".qkv.", 30),
    ("gdla", ".lambda_", 5),
    ("differential", ".lambda_", 5),
    ("gdla", "block.attn.norm.weight", 1e3),
    ("differential", "block.attn.norm.weight", 1e3),
    ("gdla", ".out_proj.", 1e-4),
    ("gdla", ".mlp.", 10),
    ("softmax", ".mlp.", 10),
    ("differential", ".mlp.", 10),
    ("gdla", "decoder.2.up.", 1e4),
    ("gdla", "running_var", 1e-12),  # far below the epsilon
    ("gdla", "running_var", 1e8),
    ("gdla", "running_mean", 1e4),
    ("gdla", "head.", 1e-6),
    ("gdla", "", 1e-3),
]


@pytest.mark.parametrize(("mixer", "part", "factor"), CHANGES)
def test_weights_of_unusual_size_give_the_logits_of_pytorch(
    mixer: str, part: str, factor: float
) -> None:
    model = changed(small_model(mixer), part, factor)
    x = image(1, 1, 64, 64)
    ours, theirs = logits(model, x), torch_logits(torch_network(model), x)
    assert_near(ours, theirs)
