"""Gated Differential Linear Attention (arXiv 2603.02727)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from GDLACore.network.linear_attention import linear_attention

HEAD_WIDTH = 32
RMS_NORM_EPS = 1e-5


class GatedDifferentialLinearAttention(nn.Module):
    """Two gated differential linear attentions, one on the tokens, one on their neighbourhoods.

    The tokens are projected once to queries, keys, values and gates. The *main* branch uses them as
    they are, the *local* branch after a depthwise 3 x 3 and a pointwise convolution over all four.
    In each branch, per head (32 channels; q and k split into halves of 16):

        A_i = phi(q_i) (phi(k_i)^T v) / (phi(q_i) sum phi(k_i) + eps),   i = 1, 2
        y   = RMSNorm(A_1 - lambda * A_2) * sigmoid(g)

    lambda is one learned factor per head and channel, separate for the two branches; one RMSNorm
    weight serves all heads and both branches.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = channels // HEAD_WIDTH
        self.qkvg = nn.Linear(channels, 4 * channels)
        self.local = nn.Sequential(
            nn.Conv2d(4 * channels, 4 * channels, 3, padding=1, groups=4 * channels),
            nn.Conv2d(4 * channels, 4 * channels, 1),
        )
        self.lambda_main = nn.Parameter(0.1 * torch.randn(self.heads, HEAD_WIDTH))
        self.lambda_local = nn.Parameter(0.1 * torch.randn(self.heads, HEAD_WIDTH))
        self.norm = RMSNorm(HEAD_WIDTH)
        self.out_proj = nn.Linear(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the tokens of ``x``, [B, H, W, C], over the whole image; same shape out."""
        main = self.qkvg(x)
        local = self.local(main.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        mixed = torch.cat(
            [self._branch(main, self.lambda_main), self._branch(local, self.lambda_local)], dim=-1
        )
        return self.out_proj(mixed)

    def _branch(self, qkvg: Tensor, lambda_: Tensor) -> Tensor:
        batch, height, width, _ = qkvg.shape
        q, k, v, gate = (
            qkvg.reshape(batch, height * width, 4, self.heads, HEAD_WIDTH)
            .permute(2, 0, 3, 1, 4)
            .unbind(0)
        )
        part_scale = torch.stack([torch.ones_like(lambda_), -lambda_])
        y = self.norm(linear_attention(q, k, v, part_scale)).to(gate.dtype) * gate.sigmoid()
        return y.transpose(1, 2).reshape(batch, height, width, self.heads * HEAD_WIDTH)


class RMSNorm(nn.Module):
    """Root-mean-square normalisation over the last axis, in float32 (eps inside the root)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x / sqrt(mean(x^2) + eps) * weight`` in float32, same shape as ``x``."""
        x = x.float()
        return (
            x * torch.rsqrt(x.square().mean(-1, keepdim=True) + RMS_NORM_EPS) * self.weight.float()
        )
