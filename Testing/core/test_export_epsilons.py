"""The epsilons of the exported norms, which ordinary weights are too lively to see.

In a quiet network whatever is divided by a root or a sum is of the epsilon's own size. There every
epsilon shows in the logits, so that to agree with PyTorch is to have all of them right.
"""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatch

import numpy as np
import pytest
from exported import image, logits, small_model
from torch_reference import TOLERANCE, assert_near, torch, torch_logits, torch_network

from GDLACore.model.card import MIXERS
from GDLACore.network import gdla, linear_attention
from GDLACore.weights.loading import ModelWeights

IMAGE = image(1, 1, 64, 64)

# The squares of these are of the size of the epsilons, 1e-5 and 1e-6.
SMALL, SMALLER = 3e-3, 1e-3

# What makes the inputs of the norms small, and lets nothing else drown their outputs.
QUIET = {
    "encoder.patch_embed.proj.*": SMALL,
    "encoder.patch_embed.norm.*": SMALLER,
    "encoder.*.downsample.proj.bias": SMALL,
    "encoder.*.downsample.norm.*": SMALLER,
    "encoder.*.attn.sr.*": SMALL,
    "encoder.*.attn.proj.*": SMALLER,
    "encoder.*.mlp.fc2.*": SMALLER,
    "encoder.stages.?.norm.*": SMALL,
    "decoder.*.out_proj.*": SMALL,
    "decoder.*.project.*": SMALL,
    "decoder.*.fc2.*": SMALL,
    "stem.conv*": SMALL,
    "stem.*.running_mean": SMALL,
    "stem.*.running_var": SMALL**2,
    "stem.norm[23].weight": SMALL,
    "stem.norm[23].bias": SMALL,
    "head.bias": SMALL,
}


def quiet_model(mixer: str) -> ModelWeights:
    model = small_model(mixer)
    tensors = {}
    for name, value in model.tensors.items():
        factors = [factor for pattern, factor in QUIET.items() if fnmatch(name, pattern)]
        tensors[name] = value * np.float32(factors[0] if factors else 1)
        if "attn.qkv" in name or "attn.local.1." in name:
            _make_quiet(tensors[name], mixer, name.endswith("bias"))
    return replace(model, tensors=tensors)


def _make_quiet(projection: np.ndarray, mixer: str, is_bias: bool) -> None:
    """Make values small where an RMSNorm follows, and ELU + 1 where it is summed."""
    channels = len(projection) // (4 if mixer == "gdla" else 3)
    if mixer in ("gdla", "differential"):
        projection[2 * channels : 3 * channels] *= SMALL
    if mixer in ("gdla", "linear") and is_bias:
        projection[: 2 * channels] = -9


@pytest.mark.parametrize("mixer", MIXERS)
def test_a_quiet_network_gives_the_logits_of_pytorch(mixer: str) -> None:
    model = quiet_model(mixer)
    assert_near(logits(model, IMAGE), torch_logits(torch_network(model), IMAGE))


@pytest.mark.parametrize("mixer", MIXERS)
def test_every_epsilon_shows_in_the_logits_of_a_quiet_network(
    mixer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = torch_network(quiet_model(mixer))
    right = torch_logits(network, IMAGE)
    changes = [
        (norm, "eps", norm.eps)
        for norm in network.modules()
        if isinstance(norm, (torch.nn.LayerNorm, torch.nn.BatchNorm2d))
    ]
    assert len(changes) == 39
    if mixer in ("gdla", "differential"):
        changes.append((gdla, "RMS_NORM_EPS", gdla.RMS_NORM_EPS))
    if mixer in ("gdla", "linear"):
        changes.append((linear_attention, "NORMALISER_EPS", linear_attention.NORMALISER_EPS))
    for owner, name, epsilon in changes:
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, 10 * epsilon)
            change = np.abs(torch_logits(network, IMAGE) - right).max()
        assert change > 100 * TOLERANCE * np.abs(right).max(), owner
