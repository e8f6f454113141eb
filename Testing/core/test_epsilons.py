"""The epsilons of all norms, which the golden vectors are too lively to see.

Each norm gets an input whose variance is of the epsilon's own size: ten times more or less of it
then changes the result by tens of per cent.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from GDLACore.network.block import MIXERS
from GDLACore.network.gdla import RMSNorm
from GDLACore.network.linear_attention import linear_attention
from GDLACore.network.pvt_gdla import PVTGDLA
from GDLACore.network.stem import ResidualStem

RNG = np.random.default_rng(0)
TOLERANCE = 1e-3  # relative to an output of order one; a wrong epsilon gives 0.1 and more


@pytest.fixture(scope="module")
def network() -> PVTGDLA:
    return PVTGDLA(in_channels=1, classes=9).eval()


def norms(module: nn.Module, kind: type[nn.Module]) -> dict[str, nn.Module]:
    return {name: part for name, part in module.named_modules() if isinstance(part, kind)}


def layer_norm_epsilon(norm: nn.LayerNorm) -> float:
    """Return the epsilon that explains what ``norm`` does to values near 1e-3."""
    x = 1e-3 * torch.from_numpy(RNG.normal(size=(4, *norm.normalized_shape))).float()
    scale = norm.weight.detach()
    y = (norm(x).detach() - norm.bias.detach()) / scale
    centred = (x - x.mean(-1, keepdim=True)).double()
    # y = centred / sqrt(variance + epsilon), hence epsilon = sum centred^2 / sum y^2 - variance
    ratio = centred.square().sum(-1) / y.double().square().sum(-1)
    return float((ratio - centred.square().mean(-1)).mean())


def test_the_decoder_norms_add_1e_5(network: PVTGDLA) -> None:
    found = {n: layer_norm_epsilon(p) for n, p in norms(network.decoder, nn.LayerNorm).items()}
    assert len(found) == 6
    assert found == pytest.approx(dict.fromkeys(found, 1e-5), rel=0.02)


@pytest.mark.parametrize("mixer", [m for m in MIXERS if m != "gdla"])
def test_the_decoder_norms_of_the_comparison_networks_add_1e_5(mixer: str) -> None:
    decoder = PVTGDLA(in_channels=1, classes=9, encoder="b0", mixer=mixer).decoder
    found = {n: layer_norm_epsilon(p) for n, p in norms(decoder, nn.LayerNorm).items()}
    assert len(found) == 6
    assert found == pytest.approx(dict.fromkeys(found, 1e-5), rel=0.02)


def test_the_encoder_norms_add_1e_6_in_blocks_and_stages_and_1e_5_elsewhere(
    network: PVTGDLA,
) -> None:
    found = {n: layer_norm_epsilon(p) for n, p in norms(network.encoder, nn.LayerNorm).items()}
    expected = {
        # After the patch embeddings and the spatial reductions: PyTorch's default.
        name: 1e-5 if "patch_embed" in name or "downsample" in name or ".attn." in name else 1e-6
        for name in found
    }
    assert sorted(expected.values()) == 36 * [1e-6] + 17 * [1e-5]
    assert found == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("mixer", ["gdla", "differential"])
def test_the_norm_of_the_attention_heads_adds_1e_5(mixer: str) -> None:
    decoder = PVTGDLA(in_channels=1, classes=9, encoder="b0", mixer=mixer).decoder
    found = norms(decoder, RMSNorm)
    assert len(found) == 3
    x = 3e-3 * RNG.normal(size=(5, 32))
    expected = x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-5)
    for norm in found.values():
        y = norm(torch.from_numpy(x).float()).detach().numpy()
        np.testing.assert_allclose(y, expected, rtol=0, atol=TOLERANCE)


def test_the_batch_norms_of_the_stem_add_1e_5() -> None:
    stem = ResidualStem(1, 8).eval()
    found = norms(stem, nn.BatchNorm2d)
    assert len(found) == 3
    for norm in found.values():
        norm.running_var.fill_(1e-5)
        x = 3e-3 * RNG.normal(size=(1, norm.num_features, 4, 4))
        y = norm(torch.from_numpy(x).float()).detach().numpy()
        np.testing.assert_allclose(y, x / np.sqrt(1e-5 + 1e-5), rtol=0, atol=TOLERANCE)


def test_the_normaliser_of_linear_attention_adds_1e_6() -> None:
    # ELU(z) + 1 = exp(z) for z < 0: with z = -9 the normaliser is 8 x 16 x exp(-18) = 1.9e-6.
    q = np.full((1, 1, 8, 32), -9.0)
    v = RNG.normal(size=(1, 1, 8, 32))
    weight = np.exp(-18.0) * 16
    expected = weight * v.sum(axis=2, keepdims=True) / (weight * 8 + 1e-6)
    two_parts = torch.stack([torch.ones(1, 32), torch.zeros(1, 32)])
    single = torch.from_numpy(q).float()
    y = linear_attention(single, single, torch.from_numpy(v).float(), two_parts).numpy()
    np.testing.assert_allclose(y, np.broadcast_to(expected, y.shape), rtol=2e-3)
