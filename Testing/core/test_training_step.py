"""One training step of every preset, beside the same step written by hand in double precision."""

from __future__ import annotations

import copy
import dataclasses
import math
import warnings
from functools import cache

import pytest
from recipe_phantoms import phantom_dataset, small_card

pytest.importorskip("torch")
pytest.importorskip("lightning")

import lightning.pytorch as lightning
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from GDLACore.network.gdla import RMSNorm
from GDLACore.network.linear_attention import linear_attention
from GDLACore.network.pvt_gdla import PVTGDLA
from GDLACore.training.batches import Batch
from GDLACore.training.drop_path import DrawnDropPath
from GDLACore.training.loss import segmentation_loss
from GDLACore.training.module import SegmentationTraining
from GDLACore.training.recipe import PRESETS, Recipe, preset

IGNORED = 255


def _bdou(logits: Tensor, target: Tensor) -> Tensor:
    """Boundary DoU with the authors' plus-shaped kernel, background included (2308.00220)."""
    counted = (target != IGNORED)[:, None]
    probability = logits.softmax(1) * counted
    truth = torch.stack([target == c for c in range(logits.shape[1])], 1).to(logits)
    plus = torch.tensor([[0, 1, 0], [1, 1, 1], [0, 1, 0]]).to(logits)[None, None]
    losses = []
    for c in range(logits.shape[1]):
        t, p = truth[:, c], probability[:, c]
        members = F.conv2d(t[:, None], plus, padding=1)[:, 0]
        boundary, size = ((members < 5) & (t == 1)).sum(), t.sum()
        alpha = min(2 * (1 - (boundary + 1e-5) / (size + 1e-5)) - 1, 0.8)
        intersection, y, z = (t * p).sum(), (t * t).sum(), (p * p).sum()
        losses.append(
            (z + y - 2 * intersection + 1e-5) / (z + y - (1 + alpha) * intersection + 1e-5)
        )
    return torch.stack(losses).mean()


def _draw_drop_paths(network: nn.Module, samples: int, seed: int) -> None:
    paths = [module for module in network.modules() if isinstance(module, DrawnDropPath)]
    random = torch.Generator().manual_seed(seed)
    drawn = torch.rand(len(paths), samples, generator=random)
    for path, uniform in zip(paths, drawn, strict=True):
        kept = 1 - path.probability
        path.factors = (uniform < kept).float() / kept


def _stepped(network: nn.Module, batch: Batch, rate: float) -> dict[str, tuple[Tensor, Tensor]]:
    """Weights after one step, and gradients: clipped to norm 1, then AdamW (1711.05101)."""
    loss = sum(
        _bdou(logits, batch.target)
        for logits in network.forward_with_supervision(batch.images.double())
    )
    loss.backward()
    parameters = dict(network.named_parameters())
    norm = math.sqrt(sum(float(p.grad.square().sum()) for p in parameters.values()))
    assert norm > 1  # so that clipping is seen
    after = {}
    for name, p in parameters.items():
        gradient = p.grad / (norm + 1e-6)
        decay = 0.0 if p.ndim == 1 or name.endswith(".bias") else 1e-4
        mean, square = 0.1 * gradient, 0.001 * gradient**2
        mean, square = mean / (1 - 0.9), square / (1 - 0.999)
        stepped = p - rate * decay * p - rate * mean / (square.sqrt() + 1e-8)
        after[name] = stepped.detach(), gradient
    return after


def _trained(module: SegmentationTraining) -> None:
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=1,
        precision="64-true",
        max_steps=1,
        gradient_clip_val=module.recipe.gradient_clip,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(module)


@cache
def _fresh_network(in_channels: int, classes: int) -> PVTGDLA:
    torch.manual_seed(0)
    return PVTGDLA(in_channels=in_channels, classes=classes, encoder="b0")


@pytest.fixture
def doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the network computes in single precision lest it be half, it computes in double."""
    single = torch.Tensor.float
    monkeypatch.setattr(
        torch.Tensor, "float", lambda x: x if x.dtype == torch.float64 else single(x)
    )


@pytest.mark.parametrize("name", PRESETS)
def test_a_training_step_is_the_one_written_by_hand(name: str, doubles: None) -> None:
    card = small_card(name.removesuffix("-better"))
    # The largest rate at once: what is computed does not depend on it, but more of it is seen.
    recipe: Recipe = dataclasses.replace(preset(name), batch_size=2, warm_up=0)
    network = copy.deepcopy(_fresh_network(card.in_channels, card.classes))
    module = SegmentationTraining(network, phantom_dataset(card), card, recipe)
    before = copy.deepcopy(module.network).double().train()
    (batch,) = (batch for batch, _ in zip(module.train_dataloader(), range(1), strict=False))
    _draw_drop_paths(before, samples=2, seed=42 * 1_000_003)
    expected = _stepped(before, batch, rate=8e-4 if "kvasir" in name else 5e-4)
    _trained(module)
    for parameter, after in module.network.named_parameters():
        weights, gradient = expected[parameter]
        off = (after.detach() - weights).abs() / recipe.learning_rate
        # Where a gradient vanishes, AdamW divides its rounding error by 1e-8.
        assert (off * (gradient.abs() + 1e-8)).max() < 1e-10, parameter
        assert off.median() < 1e-7, parameter


def test_sums_are_single_precision_whatever_the_precision_around_them() -> None:
    random = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 2, 3136, 32, generator=random).bfloat16() for _ in range(3))
    scale = torch.randn(2, 2, 32, generator=random)
    logits = torch.randn(2, 3, 64, 64, generator=random).bfloat16()
    target = torch.randint(0, 3, (2, 64, 64), generator=random).to(torch.uint8)
    known = torch.tensor([[True, True, True], [True, True, False]])
    norm = RMSNorm(32)

    def results() -> list[Tensor]:
        return [
            linear_attention(q, k, v, scale),
            norm(v),
            segmentation_loss(logits, target, known, cross_entropy=0.5),
        ]

    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = results()
    for alone, within in zip(results(), mixed, strict=True):
        assert alone.dtype == within.dtype == torch.float32
        assert torch.equal(alone, within)
