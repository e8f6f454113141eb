"""Rotary position embedding over the raster index, as the paper's softmax baselines use it."""

from __future__ import annotations

import torch
from torch import Tensor

BASE = 10000.0


def rotate(x: Tensor) -> Tensor:
    """Rotate the channel pairs (0, 1), (2, 3), ... of ``x``, [..., N, D], by their token's index.

    Pair p of token n turns by ``n * BASE ** (-2 p / D)`` (Su et al., arXiv 2104.09864).
    """
    tokens, width = x.shape[-2:]
    frequency = BASE ** (-torch.arange(0, width, 2, device=x.device, dtype=torch.float32) / width)
    index = torch.arange(tokens, device=x.device, dtype=torch.float32)
    angle = torch.outer(index, frequency).repeat_interleave(2, dim=-1)
    pairs = x.unflatten(-1, (-1, 2))
    quarter_turn = torch.stack([-pairs[..., 1], pairs[..., 0]], dim=-1).flatten(-2)
    return (x * angle.cos() + quarter_turn * angle.sin()).to(x.dtype)
