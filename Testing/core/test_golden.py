"""Parity with the authors' implementation, whose outputs are stored in ``Testing/data/golden``.

One tolerance serves all: the float32 logits have a standard deviation of 1.2 and reproduce to
1e-5; every slip that changes the network (but for the epsilons) moves them by more than 1e-4.
"""

from __future__ import annotations

import golden
import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from networks import golden_attention, golden_block, golden_network
from torch import Tensor, nn

from GDLACore.network.linear_attention import linear_attention
from GDLACore.network.pvt_gdla import PVTGDLA

TOLERANCE = 5e-5
OUTPUTS = ("ds_x4", "ds_x3", "ds_x2", "logits")


def assert_close(ours: Tensor, theirs: np.ndarray) -> None:
    np.testing.assert_allclose(ours.detach().numpy(), theirs, rtol=0, atol=TOLERANCE)


def assert_same_labels(logits: Tensor, theirs: np.ndarray) -> None:
    """Allow for pixels whose two best classes are closer than rounding."""
    assert (logits.argmax(1).numpy() == theirs).mean() > 0.9999


def tokens(array: np.ndarray, side: int) -> Tensor:
    """Return the authors' tokens [B, N, C] as ours, [B, side, side, C]."""
    x = torch.from_numpy(array).float()
    return x.reshape(len(x), side, side, -1)


def channels_last(array: np.ndarray) -> Tensor:
    """Return an image [B, C, H, W] as tokens [B, H, W, C]."""
    return torch.from_numpy(array).float().permute(0, 2, 3, 1)


@pytest.fixture(scope="module")
def network() -> PVTGDLA:
    """Return the published network, 1 channel and 9 classes, with recipe weights."""
    return golden_network()


def test_gated_differential_linear_attention_gives_the_authors_result() -> None:
    vectors = golden.vectors("a_gdla_dim64_h2_14x14")
    attention = golden_attention(vectors, "gdla", channels=64, depth=1)
    ours = attention(tokens(vectors["input"], 14))
    assert_close(ours.flatten(1, 2), vectors["output"])


def test_the_attention_of_the_first_query_half_gives_the_authors_intermediate() -> None:
    vectors = golden.vectors("a_gdla_dim64_h2_14x14")
    attention = golden_attention(vectors, "gdla", channels=64, depth=1)
    qkvg = attention.qkvg(tokens(vectors["input"], 14)[:1])
    q, k, v, _ = qkvg.reshape(1, 196, 4, 2, 32).permute(2, 0, 3, 1, 4)
    first_part_only = torch.stack([torch.ones(2, 32), torch.zeros(2, 32)])
    ours = linear_attention(q, k, v, first_part_only)
    assert_close(ours[0].transpose(-2, -1), vectors["main_la1_b0"])


def test_the_neighbourhood_branch_gives_the_authors_intermediate() -> None:
    vectors = golden.vectors("a_gdla_dim64_h2_14x14")
    attention = golden_attention(vectors, "gdla", channels=64, depth=1)
    qkvg = attention.qkvg(tokens(vectors["input"], 14)[:1]).permute(0, 3, 1, 2)
    q = attention.local(qkvg)[0, :64]
    assert_close(q.reshape(2, 32, 196), vectors["aux_q_b0"])


def test_the_main_branch_after_norm_and_gate_gives_the_authors_intermediate() -> None:
    vectors = golden.vectors("a_gdla_dim64_h2_14x14")
    attention = golden_attention(vectors, "gdla", channels=64, depth=1)
    attention.out_proj = nn.Identity()
    both = attention(tokens(vectors["input"], 14)[:1])
    main = both[0, ..., :64].permute(2, 0, 1)
    assert_close(main.reshape(2, 32, 196), vectors["main_y_b0"])


def test_a_decoder_block_gives_the_authors_result_and_intermediates() -> None:
    vectors = golden.vectors("b_gdlam_dim128_h4_12x12")
    block = golden_block(vectors, "gdla", channels=128, depth=2)
    inner: dict[str, Tensor] = {}
    for name, part in (("conv3x3", block.conv), ("attn", block.attn)):
        part.register_forward_hook(lambda _m, _x, y, name=name: inner.__setitem__(name, y))
    ours = block(channels_last(vectors["input"]))
    assert_close(ours.permute(0, 3, 1, 2), vectors["output"])
    assert_close(inner["conv3x3"], vectors["conv3x3"])
    assert_close(inner["attn"].flatten(1, 2), vectors["attn"])


@torch.inference_mode()
def test_the_network_gives_the_authors_logits_on_small_images(network: PVTGDLA) -> None:
    vectors = golden.vectors("c_pvtgdla_1ch_9cls_64")
    ours = network(torch.from_numpy(vectors["input"]))
    assert_close(ours, vectors["logits"])
    assert_same_labels(ours, vectors["argmax_u8"])


@torch.inference_mode()
def test_the_network_gives_the_authors_logits_at_the_published_size(network: PVTGDLA) -> None:
    vectors = golden.vectors("c_pvtgdla_1ch_9cls_224")
    ours = network.forward_with_supervision(torch.from_numpy(golden.recipe_input(1, 224, 1)))
    for name, logits in zip(OUTPUTS, ours, strict=True):
        assert_close(logits[:, :, ::8, ::8], vectors[name])
    assert_same_labels(ours[-1], vectors["argmax_u8"])


@torch.inference_mode()
def test_the_training_heads_give_the_authors_logits(network: PVTGDLA) -> None:
    vectors = golden.vectors("c_pvtgdla_1ch_9cls_64")
    *auxiliary, output = network.forward_with_supervision(torch.from_numpy(vectors["input"]))
    for name, logits in zip(OUTPUTS[:3], auxiliary, strict=True):
        assert_close(logits[:, :, ::8, ::8], vectors[name])
    assert_close(output, vectors["logits"])


@torch.inference_mode()
def test_a_colour_network_gives_the_authors_logits() -> None:
    vectors = golden.vectors("c_pvtgdla_3ch_2cls_64")
    network = golden_network(in_channels=3, classes=2)
    *auxiliary, output = network.forward_with_supervision(torch.from_numpy(vectors["input"]))
    for name, logits in zip(OUTPUTS[:3], auxiliary, strict=True):
        assert_close(logits[:, :, ::8, ::8], vectors[name])
    assert_close(output, vectors["logits"])
    assert_same_labels(output, vectors["argmax_u8"])
