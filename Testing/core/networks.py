"""Networks with the golden vectors' recipe weights, in the authors' names and in ours."""

from __future__ import annotations

import golden
import numpy as np
import torch
from golden import OFFICIAL_MODELS
from torch import Tensor, nn

from GDLACore.network.block import build_block
from GDLACore.network.pvt_gdla import PVTGDLA
from GDLACore.weights.names import network_name


def official_weights(
    mixer: str = "gdla", in_channels: int = 1, classes: int = 9
) -> dict[str, Tensor]:
    """Return the recipe weights of a published network under the authors' names."""
    shapes = {
        name: _for_task(name, shape, in_channels, classes)
        for name, shape in golden.official_shapes(OFFICIAL_MODELS[mixer]).items()
    }
    return {n: torch.from_numpy(v) for n, v in golden.recipe_weights(shapes).items()}


def golden_network(mixer: str = "gdla", in_channels: int = 1, classes: int = 9) -> PVTGDLA:
    """Return our network with the weights of ``official_weights``, for inference."""
    network = PVTGDLA(in_channels=in_channels, classes=classes, mixer=mixer)
    weights = official_weights(mixer, in_channels, classes)
    network.load_state_dict({network_name(name): value for name, value in weights.items()})
    return network.eval()


def golden_block(
    vectors: dict[str, np.ndarray], mixer: str, channels: int, depth: int
) -> nn.Module:
    """Return our decoder block with the weights stored beside block vectors."""
    block = build_block(mixer, channels, depth)
    return fill(block, {f"de1.{n}": v for n, v in stored(vectors).items()}, "decoder.0.block.")


def golden_attention(
    vectors: dict[str, np.ndarray], mixer: str, channels: int, depth: int
) -> nn.Module:
    """Return our token mixer with the weights stored beside attention vectors."""
    attention = build_block(mixer, channels, depth).attn
    named = {f"de1.attn.{n}": v for n, v in stored(vectors).items()}
    return fill(attention, named, "decoder.0.block.attn.")


def stored(vectors: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """Return the weights stored beside golden vectors, under the authors' names."""
    return {
        key.removeprefix("w/"): torch.from_numpy(value).float()
        for key, value in vectors.items()
        if key.startswith("w/")
    }


def fill(module: nn.Module, official: dict[str, Tensor], prefix: str) -> nn.Module:
    """Load weights under whole-network official names into the part of ours at ``prefix``."""
    weights = {network_name(name).removeprefix(prefix): value for name, value in official.items()}
    module.load_state_dict(weights)
    return module.eval()


def seeded(module: nn.Module) -> nn.Module:
    """Give every weight a value that depends on its name alone; return the module, in eval mode.

    Unlike PyTorch's own start, no weight is zero or one, so that no path through the network is
    switched off.
    """
    shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    weights = golden.recipe_weights(shapes)
    module.load_state_dict({n: torch.from_numpy(v) for n, v in weights.items()})
    return module.eval()


def _for_task(name: str, shape: tuple[int, ...], channels: int, classes: int) -> tuple[int, ...]:
    """Change the published shape of a weight from 1 channel and 9 classes to another task."""
    if name.startswith("head"):
        return (classes, *shape[1:])
    if name.startswith(("resblk.conv1.", "resblk.norm1.")) and shape:
        shape = (channels, *shape[1:])
    if name.startswith(("resblk.conv1.", "resblk.conv2.", "resblk.conv3.")):
        shape = (shape[0], channels, *shape[2:])
    return shape
