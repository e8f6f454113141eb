"""The published way of segmenting a volume, written from its description: what we compare with.

PVT-GDLA as its authors run it (arXiv 2603.02727): PyTorch in single precision, layer by layer;
four linear attentions per block, one after the other, each with a row of ones below its values; the
64 features enlarged to full size before the head reads them; the heads that only teach computed
too. Around it the protocol: the windowed volume enlarged by scipy's cubic spline in one go, slices
in chunks of 32, softmax, the largest class, and the labels enlarged by scipy's nearest neighbour.

Nothing of GDLACore.network is used, so that a slip there cannot hide here; weights come under
GDLACore's names. ``check_published_way`` holds the result against the authors' own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import golden
import numpy as np
import torch
from networks import official_weights
from safetensors.torch import load_file
from scipy import ndimage
from stages import Stages
from torch import Tensor, nn
from torch.nn import functional as F

from GDLACore.model.card import ModelCard
from GDLACore.network.timm_import import import_pvt_v2
from GDLACore.weights.names import network_name

CHUNK = 32
HEAD_WIDTH = 32
TOLERANCE = 5e-5  # of logits with a standard deviation of 1.2; see Testing/core/test_golden.py


def kernel_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return linear attention [B, heads, 32, N] of ``q``, ``k`` [B, heads, 16, N] and ``v``.

    The row of ones under ``v`` makes the last row of the product its normaliser.
    """
    q, k = F.elu(q) + 1.0, F.elu(k) + 1.0
    v = F.pad(v, (0, 0, 0, 1), value=1.0)
    sums = torch.matmul(torch.matmul(v, k.transpose(-1, -2)), q)
    return sums[:, :, :-1] / (sums[:, :, -1:] + 1e-6)


class RMSNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` [..., width] over its root mean square."""
        wide = x.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-5)
        return wide.type_as(x) * self.weight


class Attention(nn.Module):
    """Gated differential linear attention on tokens [B, N, C] of an h x w image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = channels // HEAD_WIDTH
        wide = 4 * channels
        self.qkvg = nn.Linear(channels, wide)
        self.local = nn.Sequential(
            nn.Conv2d(wide, wide, 3, padding=1, groups=wide), nn.Conv2d(wide, wide, 1)
        )
        self.lambda_main = nn.Parameter(torch.zeros(self.heads, HEAD_WIDTH))
        self.lambda_local = nn.Parameter(torch.zeros(self.heads, HEAD_WIDTH))
        self.norm = RMSNorm(HEAD_WIDTH)
        self.out_proj = nn.Linear(2 * channels, channels)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        main = self.qkvg(x).transpose(1, 2)
        local = self.local(main.unflatten(2, (height, width))).flatten(2)
        both = self._branch(main, self.lambda_main), self._branch(local, self.lambda_local)
        return self.out_proj(torch.cat(both, dim=-1))

    def _branch(self, qkvg: Tensor, factor: Tensor) -> Tensor:
        q, k, v, gate = (
            part.unflatten(1, (self.heads, HEAD_WIDTH)) for part in qkvg.chunk(4, dim=1)
        )
        (q1, q2), (k1, k2) = q.chunk(2, dim=2), k.chunk(2, dim=2)
        y = kernel_attention(q1, k1, v) - factor[..., None] * kernel_attention(q2, k2, v)
        y = self.norm(y.transpose(-1, -2)) * torch.sigmoid(gate.transpose(-1, -2))
        return y.transpose(1, 2).flatten(2)


class GatedMLP(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 8 * channels
        self.expand = nn.Conv2d(channels, wide, 1)
        self.depthwise = nn.Conv2d(wide, wide, 3, padding=1, groups=wide)
        self.project = nn.Conv2d(wide // 2, channels, 1, bias=False)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        x = x.transpose(1, 2).unflatten(2, (height, width))
        value, gate = self.depthwise(F.silu(self.expand(x))).chunk(2, dim=1)
        return self.project(value * F.silu(gate)).flatten(2).transpose(1, 2)


class Block(nn.Module):
    """A decoder block on an image [B, C, h, w]; between its parts the image is tokens [B, N, C]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.attn = Attention(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = GatedMLP(channels)

    def forward(self, image: Tensor) -> Tensor:
        size = image.shape[2:]
        x = image.flatten(2).transpose(1, 2)
        y = self.conv(self.norm1(x).transpose(1, 2).unflatten(2, size))
        x = x + self.attn(F.silu(y).flatten(2).transpose(1, 2), *size)
        x = x + self.mlp(self.norm2(x), *size)
        return x.transpose(1, 2).unflatten(2, size)


class Stage(nn.Module):
    def __init__(self, deep: int, channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(
            deep, channels, 3, stride=2, padding=1, output_padding=1, bias=False
        )
        self.block = Block(channels)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        return self.block(self.up(deep) + skip)


class Stem(nn.Module):
    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, in_channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv2 = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.norm3(self.conv3(x)))


class PublishedNetwork(nn.Module):
    """The network; ``forward`` returns the logits of all heads, the output's last."""

    def __init__(self, encoder: str, in_channels: int, classes: int) -> None:
        super().__init__()
        self.encoder = getattr(import_pvt_v2(), f"pvt_v2_{encoder}")(features_only=True)
        c1, c2, c3, c4 = self.encoder.feature_info.channels()
        self.decoder = nn.ModuleList([Stage(c4, c3), Stage(c3, c2), Stage(c2, c1)])
        self.stem = Stem(in_channels, c1)
        self.head = nn.Conv2d(c1, classes, 1)
        self.auxiliary_heads = nn.ModuleList(nn.Conv2d(c, classes, 1) for c in (c2, c3, c4))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return four maps of logits [B, classes, H, W] for images ``x`` [B, in_channels, H, W]."""
        x1, x2, x3, x4 = self.encoder(x if x.shape[1] == 3 else x.repeat(1, 3, 1, 1))
        d3 = self.decoder[0](x4, x3)
        d2 = self.decoder[1](d3, x2)
        d1 = self.decoder[2](d2, x1)
        output = self.head(_enlarged(d1, 4) + self.stem(x))
        taught = zip(self.auxiliary_heads, (d2, d3, x4), (8, 16, 32), strict=True)
        auxiliary = [_enlarged(head(features), scale) for head, features, scale in taught]
        return [*reversed(auxiliary), output]


def _enlarged(x: Tensor, scale: int) -> Tensor:
    return F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the weights in a file like the authors' or in a ``.safetensors``, by our names."""
    if path.suffix == ".safetensors":
        return load_file(path)
    return _by_our_names(torch.load(path, weights_only=True)["model_state_dict"])


def _by_our_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {network_name(name): value for name, value in weights.items()}


def published_network(weights: Mapping[str, Tensor], encoder: str) -> PublishedNetwork:
    """Return the network with ``weights`` under GDLACore's names, for inference.

    A file without the heads that only teach leaves these at random: their results are thrown away.
    Raises RuntimeError where other weights are missing or do not fit.
    """
    classes, in_channels = len(weights["head.bias"]), weights["stem.conv1.weight"].shape[1]
    network = PublishedNetwork(encoder, in_channels, classes)
    # The encoder as a list of features has its stages side by side.
    own = {n.replace("encoder.stages.", "encoder.stages_"): value for n, value in weights.items()}
    for name, value in network.state_dict().items():
        if name.startswith("auxiliary_heads.") or name.endswith("num_batches_tracked"):
            own.setdefault(name, value)
    network.load_state_dict(own)
    return network.eval()


@torch.no_grad()
def segment_as_published(
    slices: np.ndarray, network: nn.Module, card: ModelCard, stages: Stages, device: str = "cpu"
) -> np.ndarray:
    """Return labels [n, h, w], uint8, of CT ``slices`` [n, h, w] in HU; ``stages`` takes the times.

    Raises ValueError if ``card`` is not of a CT model, whose window the protocol needs.
    """
    lower, upper, size = card.intensity.lower, card.intensity.upper, card.input_size
    if lower is None or upper is None:
        raise ValueError(f"the published way of {card.name} has no window")
    _, height, width = slices.shape
    with stages.stage("window"):
        volume = (np.clip(slices.astype(np.float32), lower, upper) - lower) / (upper - lower)
    with stages.stage("zoom in, order 3"):
        volume = ndimage.zoom(volume, (1, size / height, size / width), order=3)
    labels = np.empty(volume.shape, np.uint8)
    with stages.stage("network"):
        for start in range(0, len(volume), CHUNK):
            chunk = torch.from_numpy(volume[start : start + CHUNK, None]).to(device)
            chances = torch.softmax(network(chunk)[-1], dim=1)
            labels[start : start + CHUNK] = chances.argmax(dim=1).cpu().numpy()
    with stages.stage("zoom back, order 0"):
        return ndimage.zoom(labels, (1, height / size, width / size), order=0)


@torch.no_grad()
def check_published_way() -> None:
    """Raise AssertionError unless the network gives the authors' logits and labels."""
    network = published_network(_by_our_names(official_weights()), "b2")
    vectors = golden.vectors("c_pvtgdla_1ch_9cls_224")
    outputs = network(torch.from_numpy(golden.recipe_input(1, 224, 1)))
    for name, ours in zip(("ds_x4", "ds_x3", "ds_x2", "logits"), outputs, strict=True):
        error = np.abs(ours[:, :, ::8, ::8].numpy() - vectors[name]).max()
        assert error < TOLERANCE, f"{name} differs from the authors' by {error:.2g}"
    agreement = (outputs[-1].argmax(1).numpy() == vectors["argmax_u8"]).mean()
    assert agreement > 0.9999, f"only {agreement:.4%} of the labels are the authors'"


if __name__ == "__main__":
    check_published_way()
    print(json.dumps({"authors_logits": True}))
