from __future__ import annotations

import golden
import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from GDLACore.training.loss import IGNORED, boundary_dou_loss, segmentation_loss


@pytest.mark.parametrize("name", ["d_bdou_9cls", "d_bdou_2cls", "d_bdou_2cls_empty"])
def test_loss_and_gradient_are_the_authors(name: str) -> None:
    expected = golden.vectors(name)
    logits = torch.from_numpy(expected["logits"]).double().requires_grad_()
    loss = boundary_dou_loss(logits, torch.from_numpy(expected["target"]))
    loss.backward()
    assert loss.item() == pytest.approx(float(expected["loss64"]), abs=1e-7)
    gradient = 1000 * logits.grad.numpy()[:, :, ::6, ::6]
    assert np.abs(gradient).max() > 1e-3
    np.testing.assert_allclose(gradient, expected["grad_x1e3_sub"], atol=1e-6)


def _random_batch() -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 16, 16, generator=random, dtype=torch.float64)
    target = torch.randint(0, 4, (2, 16, 16), generator=random).to(torch.uint8)
    return logits, target


def test_pixels_nobody_annotated_do_not_count() -> None:
    logits, target = _random_batch()
    target[:, 5:9] = IGNORED
    altered = logits.clone()
    altered[:, :, 5:9] = 7 * altered[:, :, 5:9].flip(1)
    before = segmentation_loss(logits, target, None, cross_entropy=1.0)
    assert torch.equal(before, segmentation_loss(altered, target, None, cross_entropy=1.0))


def test_an_image_does_not_teach_a_structure_it_was_not_annotated_for() -> None:
    logits, target = _random_batch()
    logits = logits[:1].clone().requires_grad_()
    target = target[:1].clone()
    target[target == 3] = 0
    known = torch.tensor([[True, True, True, False]])
    segmentation_loss(logits, target, known, cross_entropy=1.0).backward()
    # Where the target is background, calling it class 3 or background must be the same: moving
    # probability between the two changes nothing, so their gradients are in the same proportion.
    probability = logits.detach().softmax(1)
    ratio = logits.grad[:, 3] / probability[:, 3] - logits.grad[:, 0] / probability[:, 0]
    assert ratio.abs().max() < 1e-10


def test_a_structure_known_in_one_image_is_judged_on_that_image_alone() -> None:
    logits, target = _random_batch()
    target[1][target[1] == 3] = 0
    known = torch.tensor([[True] * 4, [True, True, True, False]])
    shuffled = logits.clone()
    shuffled[1, 3], shuffled[1, 0] = logits[1, 0], logits[1, 3]
    first = segmentation_loss(logits, target, known, cross_entropy=0.5)
    second = segmentation_loss(shuffled, target, known, cross_entropy=0.5)
    assert first.item() == pytest.approx(second.item(), abs=1e-12)


def test_a_perfect_prediction_costs_nothing() -> None:
    _, target = _random_batch()
    logits = 50.0 * torch.nn.functional.one_hot(target.long(), 4).permute(0, 3, 1, 2).double()
    assert segmentation_loss(logits, target, None, cross_entropy=1.0).item() < 1e-6


def test_a_label_of_a_structure_that_is_unknown_in_its_image_counts_as_background() -> None:
    logits, target = _random_batch()
    known = torch.tensor([[True] * 4, [True, True, True, False]])
    cleaned = target.clone()
    cleaned[1][cleaned[1] == 3] = 0
    first = segmentation_loss(logits, target, known, cross_entropy=0.5)
    assert torch.equal(first, segmentation_loss(logits, cleaned, known, cross_entropy=0.5))


def _written_out(logits: torch.Tensor, target: torch.Tensor, cross_entropy: float) -> float:
    """Return the loss of an incompletely annotated batch, pixel by pixel and class by class."""
    probability, truth = logits.softmax(1).numpy(), target.numpy().astype(int)
    counted = truth != IGNORED
    losses = []
    for c in range(probability.shape[1]):
        inside = truth == c
        boundary = 0
        for b, y, x in np.argwhere(inside):
            neighbours = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            beside = [
                truth[b, v, u] if 0 <= v < truth.shape[1] and 0 <= u < truth.shape[2] else -1
                for v, u in neighbours
            ]
            boundary += any(other != c for other in beside)
        alpha = min(2 * (1 - (boundary + 1e-5) / (inside.sum() + 1e-5)) - 1, 0.8)
        common = probability[:, c][inside].sum()
        both = (probability[:, c][counted] ** 2).sum() + inside.sum()
        losses.append((both - 2 * common + 1e-5) / (both - (1 + alpha) * common + 1e-5))
    entropy = torch.nn.functional.cross_entropy(logits, target.long(), ignore_index=IGNORED)
    return float(np.mean(losses)) + cross_entropy * entropy.item()


def test_the_loss_of_what_is_annotated_is_the_one_written_out() -> None:
    logits, _ = _random_batch()
    target = torch.zeros(2, 16, 16, dtype=torch.uint8)
    target[:, 2:12, 1:7], target[0, 5:9, 9:14] = 1, 3
    target[0, 4:8, 4:16], target[1, 13:] = IGNORED, IGNORED
    found = segmentation_loss(logits, target, None, cross_entropy=0.7).item()
    assert found == pytest.approx(_written_out(logits, target, 0.7), abs=1e-9)


def test_the_loss_of_half_precision_logits_is_summed_in_single_precision() -> None:
    logits, target = _random_batch()
    half = logits.to(torch.bfloat16)
    loss = segmentation_loss(half, target, None, cross_entropy=1.0)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, segmentation_loss(half.float(), target, None, cross_entropy=1.0))
