"""The token mixers the paper compares GDLA with: softmax, differential and kernelised linear.

Each maps tokens [B, H, W, C] to tokens of the same shape with heads of 32 channels.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from GDLACore.network.gdla import HEAD_WIDTH, RMSNorm
from GDLACore.network.linear_attention import linear_attention
from GDLACore.network.rotary import rotate


class _SelfAttention(nn.Module, ABC):
    """Queries, keys and values in, heads joined and projected out."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = channels // HEAD_WIDTH
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out_proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self._attend(*split_heads(self.qkv(x), 3, self.heads))
        return self.out_proj(join_heads(y.to(x.dtype), x))

    @abstractmethod
    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return the values each token attends to; all are [B, heads, N, D]."""


class SoftmaxAttention(_SelfAttention):
    """Multi-head softmax attention with rotary positions (pvtsa)."""

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(rotate(q), rotate(k), v)


class LinearAttention(_SelfAttention):
    """Multi-head linear attention with the ELU + 1 kernel, without positions (pvtla)."""

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return linear_attention(q, k, v)


class DifferentialAttention(nn.Module):
    """Multi-head differential softmax attention with rotary positions (pvtda; arXiv 2410.05258).

    Every head of 32 value channels has two softmax maps of 16 query and key channels each;
    the second, scaled by lambda, is subtracted from the first. ``depth`` is the number of the
    decoder stage counted from the image (1 at stride 4, 3 at stride 16).
    """

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.heads = channels // HEAD_WIDTH
        self.lambda_init = 0.8 - 0.6 * math.exp(-0.3 * depth)
        self.lambda_q1 = nn.Parameter(0.1 * torch.randn(HEAD_WIDTH))
        self.lambda_k1 = nn.Parameter(0.1 * torch.randn(HEAD_WIDTH))
        self.lambda_q2 = nn.Parameter(0.1 * torch.randn(HEAD_WIDTH))
        self.lambda_k2 = nn.Parameter(0.1 * torch.randn(HEAD_WIDTH))
        self.qkv = nn.Linear(channels, 3 * channels)
        self.norm = RMSNorm(HEAD_WIDTH)
        self.out_proj = nn.Linear(channels, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        (q,), (k,) = split_heads(q, 1, 2 * self.heads), split_heads(k, 1, 2 * self.heads)
        (v,) = split_heads(v, 1, self.heads)
        maps = F.scaled_dot_product_attention(rotate(q), rotate(k), v.repeat_interleave(2, dim=1))
        first, second = maps.float().unflatten(1, (self.heads, 2)).unbind(2)
        y = self.norm(first - self._lambda() * second) * (1.0 - self.lambda_init)
        return self.out_proj(join_heads(y.to(x.dtype), x))

    def _lambda(self) -> Tensor:
        first = torch.exp((self.lambda_q1 * self.lambda_k1).sum().float())
        second = torch.exp((self.lambda_q2 * self.lambda_k2).sum().float())
        return first - second + self.lambda_init


def split_heads(x: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """Return ``parts`` tensors [B, heads, N, D] from consecutive channel blocks of [B, H, W, C]."""
    return x.flatten(1, 2).unflatten(-1, (parts, heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)


def join_heads(y: Tensor, like: Tensor) -> Tensor:
    """Return [B, heads, N, D] as tokens shaped as ``like``, [B, H, W, C]."""
    return y.transpose(1, 2).reshape(like.shape)
