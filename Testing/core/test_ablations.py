"""GDLA less one part each: what is left is GDLA where that part does nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from networks import seeded
from phantom import make_card
from torch import Tensor, nn

from GDLACore.engine import load_engine
from GDLACore.errors import ModelFileError
from GDLACore.model.card import ABLATIONS, Architecture, ModelCard
from GDLACore.network.block import build_block
from GDLACore.network.checkpoint import build_network, save_model
from GDLACore.network.gdla import GatedDifferentialLinearAttention
from GDLACore.network.pvt_gdla import PVTGDLA

C = 64
HEADS, HALF = C // 32, 16


def attention(mixer: str) -> nn.Module:
    return seeded(build_block(mixer, C, depth=1).attn)


def tokens() -> Tensor:
    return torch.from_numpy(np.random.default_rng(3).normal(size=(2, 5, 7, C))).float()


def blocks_of(channels: Tensor) -> list[Tensor]:
    """Return the four views q, k, v, g of the first axis of a weight of GDLA."""
    return list(channels.unflatten(0, (4, -1)))


@torch.no_grad()
def without_its_gate(gdla: GatedDifferentialLinearAttention) -> None:
    """Open every gate of ``gdla`` for good, and let nothing else depend on them."""
    for weight, bias in (
        (gdla.qkvg.weight, gdla.qkvg.bias),
        (gdla.local[1].weight, gdla.local[1].bias),
    ):
        weight[3 * C :] = 0
        bias[3 * C :] = 100  # of which the sigmoid is 1
    gdla.local[1].weight[: 3 * C, 3 * C :] = 0


@torch.no_grad()
def test_without_a_gate_it_is_gdla_with_all_gates_open() -> None:
    gdla, less = attention("gdla"), attention("gdla-no-gate")
    without_its_gate(gdla)
    less.qkv.load_state_dict({n: v[: 3 * C] for n, v in gdla.qkvg.state_dict().items()})
    depthwise, pointwise = gdla.local
    less.local[0].load_state_dict({n: v[: 3 * C] for n, v in depthwise.state_dict().items()})
    less.local[1].weight.copy_(pointwise.weight[: 3 * C, : 3 * C])
    less.local[1].bias.copy_(pointwise.bias[: 3 * C])
    less.lambdas.copy_(torch.stack([gdla.lambda_main, gdla.lambda_local]))
    for part in ("norm", "out_proj"):
        getattr(less, part).load_state_dict(getattr(gdla, part).state_dict())
    torch.testing.assert_close(less(tokens()), gdla(tokens()), rtol=0, atol=1e-5)


@torch.no_grad()
def test_without_the_difference_it_is_gdla_that_subtracts_nothing_from_one_map() -> None:
    gdla, less = attention("gdla"), attention("gdla-no-difference")
    gdla.lambda_main.zero_(), gdla.lambda_local.zero_()
    # q2 = q1 and k2 = k1: the one map of 32 channels is then the first of the two.
    for layer in (gdla.qkvg, gdla.local[0], gdla.local[1]):
        for values in layer.parameters():
            for part in blocks_of(values)[:2]:
                by_head = part.unflatten(0, (HEADS, 2, HALF))
                by_head[:, 1] = by_head[:, 0]
    rest = {n: v for n, v in gdla.state_dict().items() if not n.startswith("lambda")}
    less.load_state_dict(rest)
    torch.testing.assert_close(less(tokens()), gdla(tokens()), rtol=0, atol=1e-5)


@torch.no_grad()
def test_without_the_local_branch_it_is_gdla_that_projects_the_main_branch_only() -> None:
    gdla, less = attention("gdla"), attention("gdla-no-local")
    gdla.out_proj.weight[:, C:] = 0
    less.qkvg.load_state_dict(gdla.qkvg.state_dict())
    less.norm.load_state_dict(gdla.norm.state_dict())
    less.lambda_.copy_(gdla.lambda_main)
    less.out_proj.weight.copy_(gdla.out_proj.weight[:, :C])
    less.out_proj.bias.copy_(gdla.out_proj.bias)
    torch.testing.assert_close(less(tokens()), gdla(tokens()), rtol=0, atol=1e-5)


def test_each_saves_the_parameters_of_its_part() -> None:
    def parameters(mixer: str) -> int:
        with torch.device("meta"):
            network = PVTGDLA(in_channels=1, classes=9, mixer=mixer)
        return sum(p.numel() for p in network.parameters())

    whole, levels = 32_134_607, (64, 128, 320)
    # Gate: a quarter of the projection, of the depthwise kernels and of the pointwise matrix's
    # inputs and outputs (16 C^2 to 9 C^2).
    gates = sum(c * c + c + 9 * c + c + 7 * c * c + c for c in levels)
    lambdas = sum(2 * c for c in levels)
    # Local branch: its two convolutions, its lambda and its half of the output projection.
    local = sum(36 * c + 4 * c + 16 * c * c + 4 * c + c + c * c for c in levels)
    saved = {mixer: whole - parameters(mixer) for mixer in ("gdla", *ABLATIONS)}
    assert saved == {
        "gdla": 0,
        "gdla-no-gate": gates,
        "gdla-no-difference": lambdas,
        "gdla-no-local": local,
    }


@pytest.mark.parametrize("mixer", ABLATIONS)
def test_every_weight_of_an_ablation_is_taught(mixer: str) -> None:
    block = build_block(mixer, C, depth=1)
    block(tokens()).square().sum().backward()
    assert [n for n, p in block.named_parameters() if p.grad is None or not p.grad.any()] == []


def saved_model(folder: Path, mixer: str) -> tuple[Path, ModelCard]:
    card = replace(make_card(("liver",)), architecture=Architecture("b0", mixer))
    return save_model(folder / "model.safetensors", seeded(build_network(card)), card), card


@pytest.mark.parametrize("mixer", ABLATIONS)
def test_a_file_of_an_ablation_runs_in_pytorch_and_nowhere_else(tmp_path: Path, mixer: str) -> None:
    pytest.importorskip("safetensors")
    path, card = saved_model(tmp_path, mixer)
    assert ModelCard.from_json(card.to_json()) == card
    with load_engine(path, device="cpu", runtime="torch") as engine:
        assert engine.card.architecture.mixer == mixer
    with pytest.raises(ModelFileError, match=f"has the mixer {mixer}, which only PyTorch can run"):
        load_engine(path, device="cpu", runtime="onnx")
