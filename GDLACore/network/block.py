"""One decoder block: a token mixer and a channel mixer, each behind a LayerNorm and a residual."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from GDLACore.model.card import ABLATIONS, MIXERS
from GDLACore.network.ablations import WithoutDifference, WithoutGate, WithoutLocalBranch
from GDLACore.network.feedforward import MLP, GatedConvMLP, SwiGLU
from GDLACore.network.gdla import GatedDifferentialLinearAttention
from GDLACore.network.mixers import DifferentialAttention, LinearAttention, SoftmaxAttention


class GDLABlock(nn.Module):
    """The paper's GDLAM: a full 3 x 3 convolution before the attention, a gated MLP after it.

    ``attention`` makes the token mixer for that many channels: GDLA, or GDLA less one part.
    """

    def __init__(
        self,
        channels: int,
        attention: Callable[[int], nn.Module] = GatedDifferentialLinearAttention,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.attn = attention(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = GatedConvMLP(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output for tokens ``x``, [B, H, W, C]; same shape."""
        y = self.conv(self.norm1(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        x = x + self.attn(F.silu(y))
        return x + self.mlp(self.norm2(x))


class TransformerBlock(nn.Module):
    """A pre-norm transformer block around one of the comparison mixers."""

    def __init__(self, channels: int, mixer: nn.Module, mlp: nn.Module) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn = mixer
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = mlp

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output for tokens ``x``, [B, H, W, C]; same shape."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


def build_block(mixer: str, channels: int, depth: int) -> nn.Module:
    """Return the decoder block of ``mixer`` for stage ``depth`` (1 = stride 4).

    ``mixer`` is one of ``MIXERS`` or ``ABLATIONS``; ValueError otherwise.
    """
    if mixer == "gdla":
        return GDLABlock(channels)
    if mixer == "softmax":
        return TransformerBlock(channels, SoftmaxAttention(channels), MLP(channels))
    if mixer == "differential":
        return TransformerBlock(channels, DifferentialAttention(channels, depth), SwiGLU(channels))
    if mixer == "linear":
        return TransformerBlock(channels, LinearAttention(channels), MLP(channels))
    if mixer == "gdla-no-gate":
        return GDLABlock(channels, WithoutGate)
    if mixer == "gdla-no-difference":
        return GDLABlock(channels, WithoutDifference)
    if mixer == "gdla-no-local":
        return GDLABlock(channels, WithoutLocalBranch)
    raise ValueError(f"mixer must be one of {', '.join(MIXERS + ABLATIONS)}, not {mixer!r}")
