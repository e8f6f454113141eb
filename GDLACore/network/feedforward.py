"""The channel mixers that follow the token mixers, on tokens [B, H, W, C]."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class GatedConvMLP(nn.Module):
    """GMLP of the paper: expand to 8C, depthwise 3 x 3, gate one half with the other, project.

    SiLU acts before the depthwise convolution and again on the gate, the second half.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = 8 * channels
        self.expand = nn.Conv2d(channels, hidden, 1)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.project = nn.Conv2d(hidden // 2, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(F.silu(self.expand(x.permute(0, 3, 1, 2))))
        value, gate = y.chunk(2, dim=1)
        return self.project(value * F.silu(gate)).permute(0, 2, 3, 1)


class MLP(nn.Module):
    """Two linear layers with GELU between, hidden width 4C."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class SwiGLU(nn.Module):
    """Gated MLP: expand to 8C, multiply the first half by SiLU of the second, project."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, 8 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.fc1(x).chunk(2, dim=-1)
        return self.fc2(value * F.silu(gate))
