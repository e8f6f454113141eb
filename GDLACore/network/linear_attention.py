"""Non-causal linear attention with the ELU + 1 feature map, computed in single precision.

Numerator and normaliser are sums over all tokens: with N = 3136 (a 224 x 224 image at stride 4) the
normaliser is already near 6.5e4, the largest number of float16, and beyond it at 512 x 512. The
sums, the quotient and everything that subtracts such quotients therefore run in float32 whatever
the precision around them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

NORMALISER_EPS = 1e-6


def feature_map(x: Tensor) -> Tensor:
    """Return phi(x) = ELU(x) + 1 in float32."""
    return F.elu(x.float()) + 1.0


def linear_attention(q: Tensor, k: Tensor, v: Tensor, part_scale: Tensor | None = None) -> Tensor:
    """Return the normalised linear attention of ``v``, combined over parts of the head channels.

    The query and key channels are split into P consecutive parts, each a kernel of its own:

        A_p(n) = sum_m phi(q_p(n)).phi(k_p(m)) v(m) / (sum_m phi(q_p(n)).phi(k_p(m)) + eps)
        result = sum_p part_scale[p] * A_p

    All parts share one product: dividing each part of phi(q) by its own normaliser first and
    scaling each part of ``phi(k)^T v`` leaves a single (D x D) matrix per head.

    Args:
        q, k, v: [B, heads, N, D].
        part_scale: [P, heads, D] factors; None is plain linear attention (one part, factor 1).

    Returns:
        [B, heads, N, D] in float32.
    """
    batch, heads, tokens, width = q.shape
    with torch.autocast(q.device.type, enabled=False):
        q, k, v = feature_map(q), feature_map(k), v.float()
        parts = 1 if part_scale is None else part_scale.shape[0]
        split = (batch, heads, -1, parts, width // parts)
        key_sum = k.sum(dim=2).reshape(split)
        q = q.reshape(split)
        normaliser = (q * key_sum).sum(dim=-1, keepdim=True) + NORMALISER_EPS
        q = (q / normaliser).reshape(batch, heads, tokens, width)
        memory = k.transpose(-2, -1) @ v
        if part_scale is not None:
            rows = part_scale.float().permute(1, 0, 2).repeat_interleave(width // parts, dim=1)
            memory = memory * rows
        return q @ memory
