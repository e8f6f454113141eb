"""The full-resolution skip path."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class ResidualStem(nn.Module):
    """ResBlk of the paper: two 3 x 3 convolutions beside a 1 x 1 shortcut, on the raw input.

    The hidden width is the number of input channels.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, in_channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv2 = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.conv3 = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, out_channels, H, W] for ``x``, [B, in_channels, H, W]."""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.norm3(self.conv3(x)))
