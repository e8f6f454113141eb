"""Boundary Difference over Union loss (Sun et al., MICCAI 2023, arXiv 2308.00220), with gaps.

Two kinds of gaps occur in real label maps: pixels nobody annotated (``IGNORED``), and structures a
whole image was not annotated for. A structure unknown in an image counts as background there: its
probability is added to the background's, and the image does not enter that structure's term.
"""

from __future__ import annotations

import torch
from torch import Tensor

from GDLACore.training.cases import IGNORED
from GDLACore.training.distributed import total

EPS = 1e-5
LARGEST_ALPHA = 0.8

# Keeps the logarithm of a probability that float32 has rounded to nothing finite.
_LEAST_PROBABILITY = 1e-12


def boundary_dou_loss(logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
    """Return the mean over classes of the BDoU loss, counted over the whole batch.

    With P the probabilities, T the one-hot target, I = sum PT, Z = sum P^2, Y = sum T^2:

        loss_c  = (Z + Y - 2 I + eps) / (Z + Y - (1 + alpha_c) I + eps)
        alpha_c = min(2 (1 - boundary_c / size_c) - 1, 0.8)

    Args:
        logits: [B, C, H, W]; class 0 is the background.
        target: uint8 [B, H, W] class indices, ``IGNORED`` where unknown.
        known: bool [B, C]; None means that every class is annotated in every image.
    """
    return segmentation_loss(logits, target, known, cross_entropy=0.0)


def segmentation_loss(
    logits: Tensor, target: Tensor, known: Tensor | None, cross_entropy: float
) -> Tensor:
    """Return the BDoU loss plus ``cross_entropy`` times the mean cross-entropy.

    Arguments as for ``boundary_dou_loss``; the cross-entropy leaves out what is not annotated too.
    In a distributed training the batch is that of all processes, and so is the loss.
    """
    classes = logits.shape[1]
    # Sums over a hundred thousand pixels: never in half precision.
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    probability = logits.softmax(dim=1)
    if known is None:
        known = torch.ones(logits.shape[:2], dtype=torch.bool, device=logits.device)
    else:
        probability = _with_hidden_background(probability, known)
    counted = target != IGNORED
    index = target.where(counted, 0).long()
    index = index * known.gather(1, index.flatten(1)).view_as(index)  # unknown is background
    at_target = probability.gather(1, index.unsqueeze(1)).squeeze(1)

    squares = (probability * counted.unsqueeze(1)).square().sum(dim=(2, 3))
    surprise = -at_target.clamp(min=_LEAST_PROBABILITY).log()
    boundary = _boundary(index.where(counted, IGNORED)) & counted
    sums = torch.stack(
        [
            _sum_by_class(at_target * counted, index, classes),
            (squares * known).sum(dim=0),
            _sum_by_class(counted.to(probability.dtype), index, classes),
            _sum_by_class(boundary.to(probability.dtype), index, classes),
            _sum_by_class(surprise * counted, index, classes),
        ]
    )
    intersection, predicted, size, boundary_size, surprises = total(sums)
    union = predicted + size
    alpha = _boundary_weight(boundary_size, size)
    loss = (union - 2 * intersection + EPS) / (union - (1 + alpha) * intersection + EPS)
    if not cross_entropy:
        return loss.mean()
    return loss.mean() + cross_entropy * surprises.sum() / size.sum().clamp(min=1)


def _with_hidden_background(probability: Tensor, known: Tensor) -> Tensor:
    """Add, image by image, the probabilities of the classes not ``known`` to class 0."""
    # Not a matrix product, which autocast would take to half precision.
    hidden = (probability * ~known[:, :, None, None]).sum(dim=1)
    return torch.cat([(probability[:, 0] + hidden).unsqueeze(1), probability[:, 1:]], dim=1)


def _sum_by_class(values: Tensor, index: Tensor, classes: int) -> Tensor:
    """Return the sums, [classes], of ``values`` where ``index``, [B, H, W] too, is each class.

    Image by image first: sums of few numbers round less, and alike however images are batched.
    """
    images = len(values)
    places = index + classes * torch.arange(images, device=index.device)[:, None, None]
    sums = values.new_zeros(images * classes).index_add(0, places.flatten(), values.flatten())
    return sums.view(images, classes).sum(dim=0)


def _boundary(target: Tensor) -> Tensor:
    """Return bool [B, H, W]: the pixels beside another class or the image's border.

    Two pixels are neighbours if they share a side.
    """
    boundary = torch.ones_like(target, dtype=torch.bool)
    inner = target[:, 1:-1, 1:-1]
    neighbours = (
        target[:, :-2, 1:-1],
        target[:, 2:, 1:-1],
        target[:, 1:-1, :-2],
        target[:, 1:-1, 2:],
    )
    boundary[:, 1:-1, 1:-1] = torch.stack([n != inner for n in neighbours]).any(dim=0)
    return boundary


def _boundary_weight(boundary_size: Tensor, size: Tensor) -> Tensor:
    """Return alpha, [C]: up to 0.8 for large compact structures, down to -1 for absent ones."""
    alpha = 2 * (1 - (boundary_size + EPS) / (size + EPS)) - 1
    return alpha.clamp(max=LARGEST_ALPHA).detach()
