"""GDLA less one of its parts each, to learn what the part is worth.

Tokens [B, H, W, C] to tokens of the same shape, with heads of 32 channels; all else is as in
``GatedDifferentialLinearAttention``, the full 3 x 3 convolution before and the gated MLP after it
included.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from GDLACore.network.gdla import HEAD_WIDTH, RMSNorm
from GDLACore.network.linear_attention import linear_attention
from GDLACore.network.mixers import join_heads, split_heads


class WithoutGate(nn.Module):
    """Both branches have queries, keys and values only: y = RMSNorm(A_1 - lambda * A_2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = channels // HEAD_WIDTH
        self.qkv = nn.Linear(channels, 3 * channels)
        self.local = _neighbourhoods(3 * channels)
        self.lambdas = nn.Parameter(0.1 * torch.randn(2, self.heads, HEAD_WIDTH))
        self.norm = RMSNorm(HEAD_WIDTH)
        self.out_proj = nn.Linear(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        main = self.qkv(x)
        local = self.local(main.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        branches = zip((main, local), self.lambdas, strict=True)
        return self.out_proj(torch.cat([self._branch(x, *branch) for branch in branches], dim=-1))

    def _branch(self, x: Tensor, qkv: Tensor, lambda_: Tensor) -> Tensor:
        q, k, v = split_heads(qkv, 3, self.heads)
        y = self.norm(linear_attention(q, k, v, _difference(lambda_)))
        return join_heads(y.to(x.dtype), x)


class WithoutDifference(nn.Module):
    """One map per head, of all its 32 query and key channels: y = RMSNorm(A) * sigmoid(g).

    Nothing is subtracted and there is no lambda; the projections keep their size.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = channels // HEAD_WIDTH
        self.qkvg = nn.Linear(channels, 4 * channels)
        self.local = _neighbourhoods(4 * channels)
        self.norm = RMSNorm(HEAD_WIDTH)
        self.out_proj = nn.Linear(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        main = self.qkvg(x)
        local = self.local(main.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.out_proj(torch.cat([self._branch(x, main), self._branch(x, local)], dim=-1))

    def _branch(self, x: Tensor, qkvg: Tensor) -> Tensor:
        q, k, v, gate = split_heads(qkvg, 4, self.heads)
        return join_heads(self.norm(linear_attention(q, k, v)).to(x.dtype) * gate.sigmoid(), x)


class WithoutLocalBranch(nn.Module):
    """The main branch alone: no convolutions over queries, keys, values and gates."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = channels // HEAD_WIDTH
        self.qkvg = nn.Linear(channels, 4 * channels)
        self.lambda_ = nn.Parameter(0.1 * torch.randn(self.heads, HEAD_WIDTH))
        self.norm = RMSNorm(HEAD_WIDTH)
        self.out_proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v, gate = split_heads(self.qkvg(x), 4, self.heads)
        y = self.norm(linear_attention(q, k, v, _difference(self.lambda_)))
        return self.out_proj(join_heads(y.to(x.dtype) * gate.sigmoid(), x))


def _neighbourhoods(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
        nn.Conv2d(channels, channels, 1),
    )


def _difference(lambda_: Tensor) -> Tensor:
    """Return the factors of A_1 and A_2, [2, heads, 32], for ``lambda_`` [heads, 32]."""
    return torch.stack([torch.ones_like(lambda_), -lambda_])
