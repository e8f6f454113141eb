"""The mixers the paper compares GDLA with: parity, and one file layout for all of them."""

from __future__ import annotations

import math

import golden
import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from networks import OFFICIAL_MODELS, golden_attention, golden_block, golden_network, seeded

from GDLACore.network.block import MIXERS, build_block
from GDLACore.network.mixers import DifferentialAttention, SoftmaxAttention
from GDLACore.network.pvt_gdla import PVTGDLA
from GDLACore.weights.names import network_name

TOLERANCE = 5e-5


@pytest.mark.parametrize(
    ("name", "mixer", "depth"),
    [
        ("e_mhsa_attn_rope", "softmax", 1),
        ("e_mhla_attn_norope", "linear", 1),
        ("e_mhda_attn_rope_depth2", "differential", 2),
    ],
)
def test_attention_gives_the_authors_result(name: str, mixer: str, depth: int) -> None:
    vectors = golden.vectors(name)
    attention = golden_attention(vectors, mixer, channels=64, depth=depth)
    x = torch.from_numpy(vectors["input"]).float()
    ours = attention(x.reshape(1, 14, 14, 64)).flatten(1, 2).detach().numpy()
    np.testing.assert_allclose(ours, vectors["output"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("name", "mixer"),
    [
        ("e_mhsa_block_rope", "softmax"),
        ("e_mhla_block", "linear"),
        ("e_mhda_block_rope_depth1", "differential"),
    ],
)
def test_a_block_gives_the_authors_result(name: str, mixer: str) -> None:
    vectors = golden.vectors(name)
    block = golden_block(vectors, mixer, channels=64, depth=1)
    x = torch.from_numpy(vectors["input"]).float()
    ours = block(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).detach().numpy()
    np.testing.assert_allclose(ours, vectors["output"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("mixer", ["softmax", "differential", "linear"])
@torch.inference_mode()
def test_a_whole_comparison_network_gives_the_authors_logits(mixer: str) -> None:
    model = OFFICIAL_MODELS[mixer]
    ours = golden_network(mixer)(torch.from_numpy(golden.recipe_input(1, 64, 2))).numpy()
    theirs = golden.vectors(f"c_{model}_1ch_9cls_64")["logits"]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("mixer", MIXERS)
def test_every_official_weight_has_its_place_and_every_place_its_weight(mixer: str) -> None:
    official = golden.official_shapes(OFFICIAL_MODELS[mixer])
    ours = PVTGDLA(in_channels=1, classes=9, mixer=mixer).state_dict()
    mapped = {network_name(name): shape for name, shape in official.items()}
    assert len(mapped) == len(official)
    assert mapped == {name: tuple(value.shape) for name, value in ours.items()}


# Counted by the authors' code, deep-supervision heads included.
@pytest.mark.parametrize(
    ("mixer", "parameters"),
    [
        ("gdla", 32_134_607),
        ("softmax", 28_258_159),
        ("linear", 28_258_159),
        ("differential", 28_751_695),
    ],
)
def test_the_network_has_as_many_parameters_as_the_authors(mixer: str, parameters: int) -> None:
    network = PVTGDLA(in_channels=1, classes=9, mixer=mixer)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_networks_with_different_mixers_differ_only_inside_the_decoder_blocks() -> None:
    layouts = []
    for mixer in MIXERS:
        weights = PVTGDLA(in_channels=1, classes=4, encoder="b0", mixer=mixer).state_dict()
        layouts.append({n: v.shape for n, v in weights.items() if ".block." not in n})
    assert all(layout == layouts[0] for layout in layouts)


def test_an_unknown_mixer_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match="gdla, softmax, differential, linear, gdla-no-gate, .*, not 'mamba'"
    ):
        build_block("mamba", 64, depth=1)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_start_of_lambda_follows_the_depth(depth: int) -> None:
    expected = {1: 0.3555, 2: 0.4707, 3: 0.5561}[depth]
    assert math.isclose(DifferentialAttention(64, depth).lambda_init, expected, abs_tol=5e-5)


def softmax_reference(attention: SoftmaxAttention, x: np.ndarray) -> np.ndarray:
    """Return softmax attention with rotary positions of tokens [N, C], by explicit rotations."""
    weights = {n: v.detach().double().numpy() for n, v in attention.named_parameters()}
    q, k, v = np.split(x @ weights["qkv.weight"].T + weights["qkv.bias"], 3, axis=1)
    result = np.empty_like(x)
    for head in range(attention.heads):
        part = slice(32 * head, 32 * head + 32)
        turned = np.stack([q[:, part], k[:, part]])
        for token in range(len(x)):
            for pair in range(16):
                angle = token * 10000.0 ** (-2 * pair / 32)
                turn = np.array(
                    [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
                )
                two = slice(2 * pair, 2 * pair + 2)
                turned[:, token, two] = turned[:, token, two] @ turn.T
        scores = np.exp(turned[0] @ turned[1].T / math.sqrt(32))
        result[:, part] = scores @ v[:, part] / scores.sum(axis=1, keepdims=True)
    return result @ weights["out_proj.weight"].T + weights["out_proj.bias"]


def test_rotary_positions_count_the_tokens_of_a_rectangle_row_by_row() -> None:
    attention = seeded(SoftmaxAttention(64))
    x = np.random.default_rng(0).normal(size=(5 * 9, 64))
    ours = attention(torch.from_numpy(x).float().reshape(1, 5, 9, 64)).detach().numpy()
    expected = softmax_reference(attention, x)
    np.testing.assert_allclose(ours.reshape(45, 64), expected, rtol=0, atol=1e-5)
