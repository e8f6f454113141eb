"""PVT-GDLA: a PVTv2 encoder, a decoder of three GDLA blocks and a full-resolution stem.

arXiv 2603.02727 (CVPR 2026 Findings). The published network is encoder ``b2`` with mixer ``gdla``.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from GDLACore.network.block import build_block
from GDLACore.network.encoder import PVTv2Encoder
from GDLACore.network.stem import ResidualStem

STRIDE = 32


class DecoderStage(nn.Module):
    """Double the resolution, add the encoder's map of that size, mix."""

    def __init__(self, in_channels: int, out_channels: int, mixer: str, depth: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(
            in_channels, out_channels, 3, stride=2, padding=1, output_padding=1, bias=False
        )
        self.block = build_block(mixer, out_channels, depth)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        """Return [B, out, 2h, 2w] for ``deep`` [B, in, h, w] and ``skip`` [B, out, 2h, 2w]."""
        x = self.up(deep) + skip
        return self.block(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class PVTGDLA(nn.Module):
    """The segmentation network.

    Args:
        in_channels: 1 (grey) or 3 (colour).
        classes: number of output classes, background included.
        encoder: PVTv2 variant, "b0" ... "b5".
        mixer: token mixer of the decoder, one of GDLACore.model.card.MIXERS or ABLATIONS.
        auxiliary_classes: classes of the training-only heads, where they are taught more
            structures than the output tells apart; None means as many as the output.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        classes: int,
        encoder: str = "b2",
        mixer: str = "gdla",
        auxiliary_classes: int | None = None,
    ) -> None:
        super().__init__()
        if in_channels not in (1, 3):
            raise ValueError(f"in_channels must be 1 or 3, not {in_channels}")
        self.in_channels = in_channels
        self.classes = classes
        self.encoder = PVTv2Encoder(encoder)
        c1, c2, c3, c4 = self.encoder.channels
        self.decoder = nn.ModuleList(
            [
                DecoderStage(c4, c3, mixer, depth=3),
                DecoderStage(c3, c2, mixer, depth=2),
                DecoderStage(c2, c1, mixer, depth=1),
            ]
        )
        self.stem = ResidualStem(in_channels, c1)
        self.head = nn.Conv2d(c1, classes, 1)
        # Deep supervision (training only): on d2, d3 and the encoder's x4.
        self.auxiliary_heads = nn.ModuleList(
            nn.Conv2d(c, auxiliary_classes or classes, 1) for c in (c2, c3, c4)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, classes, H, W] for images ``x``, [B, in_channels, H, W].

        H and W are multiples of 32; ValueError otherwise.
        """
        d1, *_ = self._decode(x)
        return self._head(x, d1)

    def forward_with_supervision(self, x: Tensor, stride: int = 1) -> list[Tensor]:
        """Return the logits of all four heads, coarsest first, the output last.

        The auxiliary ones are at 1/``stride`` (1, 2, 4 or 8) of the full size.
        """
        d1, d2, d3, x4 = self._decode(x)
        auxiliary = [
            _upsample(head(features), scale // stride)
            for head, features, scale in zip(
                self.auxiliary_heads, (d2, d3, x4), (8, 16, 32), strict=True
            )
        ]
        return [*reversed(auxiliary), self._head(x, d1)]

    def _decode(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        height, width = x.shape[-2:]
        if height % STRIDE or width % STRIDE:
            raise ValueError(f"image sides must be multiples of {STRIDE}, not {height} x {width}")
        x1, x2, x3, x4 = self.encoder(x if self.in_channels == 3 else x.expand(-1, 3, -1, -1))
        d3 = self.decoder[0](x4, x3)
        d2 = self.decoder[1](d3, x2)
        d1 = self.decoder[2](d2, x1)
        return d1, d2, d3, x4

    def _head(self, x: Tensor, d1: Tensor) -> Tensor:
        # A 1 x 1 convolution commutes with bilinear upsampling: applying it before costs
        # 1/16 of the multiply-adds and never builds the full-resolution feature map.
        weight = self.head.weight
        return _upsample(F.conv2d(d1, weight), 4) + F.conv2d(self.stem(x), weight, self.head.bias)


def _upsample(x: Tensor, scale: int) -> Tensor:
    return F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
