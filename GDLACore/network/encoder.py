"""The encoder: timm's Pyramid Vision Transformer v2 (arXiv 2106.13797), four feature maps out."""

from __future__ import annotations

from torch import Tensor, nn

from GDLACore.model.card import ENCODERS
from GDLACore.network.timm_import import import_pvt_v2

# Stochastic depth of the published training; it does nothing at inference.
DROP_PATH_RATE = 0.1


class PVTv2Encoder(nn.Module):
    """PVTv2 without its classifier.

    ``channels`` are the widths of the four outputs at strides 4, 8, 16 and 32.
    """

    def __init__(self, variant: str) -> None:
        super().__init__()
        if variant not in ENCODERS:
            raise ValueError(f"encoder must be one of {', '.join(ENCODERS)}, not {variant!r}")
        build = getattr(import_pvt_v2(), f"pvt_v2_{variant}")
        net = build(num_classes=0, drop_path_rate=DROP_PATH_RATE)
        self.patch_embed = net.patch_embed
        self.stages = net.stages
        self.channels = tuple(info["num_chs"] for info in net.feature_info)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return x1..x4, [B, C, H/s, W/s] for strides s = 4, 8, 16, 32, of ``x``, [B, 3, H, W].

        Each map has passed its stage's LayerNorm.
        """
        features = []
        x = self.patch_embed(x)
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features
