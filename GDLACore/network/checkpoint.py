"""PyTorch networks from checkpoints, and our ``.safetensors`` files from networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from GDLACore.atomic import replacing
from GDLACore.errors import ModelFileError
from GDLACore.model.bundle import CARD_KEY
from GDLACore.model.card import ModelCard
from GDLACore.model.file_access import check_readable
from GDLACore.network.pvt_gdla import PVTGDLA
from GDLACore.weights.fitting import (
    as_encoder,
    check_encoder,
    check_finite,
    fitted,
    is_encoder,
    is_segmentation_network,
)
from GDLACore.weights.loading import (
    AUXILIARY,
    COUNTER,
    ModelWeights,
    load_weights,
    read_weights,
)
from GDLACore.weights.safetensors_file import weights_sha256
from GDLACore.weights.shapes import Shapes

# What may differ between two tasks.
_HEADS = ("head.", AUXILIARY)


def load_model(model: str | Path, card: str | Path | None = None) -> tuple[PVTGDLA, ModelCard]:
    """Return the network of ``model``, ready for inference, and its card.

    ``model`` and ``card`` are those of GDLACore.weights.loading.load_weights, which raises
    ModelFileError for everything that does not fit together. The deep-supervision heads are left
    out.
    """
    weights = load_weights(model, card)
    return network_of(weights), weights.card


def network_of(model: ModelWeights) -> PVTGDLA:
    """Return the network of ``model``, without deep-supervision heads, ready for inference."""
    network = build_network(model.card)
    network.auxiliary_heads = nn.ModuleList()
    _fill(network, model.tensors)
    return network.eval()


def build_network(card: ModelCard, auxiliary_classes: int | None = None) -> PVTGDLA:
    """Return the network ``card`` describes, with random weights."""
    return PVTGDLA(
        in_channels=card.in_channels,
        classes=card.classes,
        encoder=card.architecture.encoder,
        mixer=card.architecture.mixer,
        auxiliary_classes=auxiliary_classes,
    )


def save_model(path: Path, network: PVTGDLA, card: ModelCard) -> Path:
    """Write one file with the inference weights in half precision and the card; return ``path``.

    The card written carries the SHA-256 of the weights. Raises ModelFileError if a weight is not
    finite in half precision, OutputError if the file cannot be written.
    """
    from safetensors.torch import save  # not needed to run a network

    weights = {
        name: value.detach().cpu().to(torch.float16).contiguous()
        for name, value in _without_counters(network.state_dict()).items()
        if not name.startswith(AUXILIARY)
    }
    for name, value in weights.items():
        check_finite(name, value.numpy(), f"The weights for {path}, in half precision,")
    checksum = weights_sha256((name, weights[name].numpy()) for name in sorted(weights))
    card = dataclasses.replace(card, sha256=checksum)
    with replacing(path) as part:
        part.write_bytes(save(weights, {CARD_KEY: card.to_json()}))
    return path


def load_initial_weights(network: PVTGDLA, path: Path) -> None:
    """Start ``network`` from ``path``: ImageNet PVTv2 weights, or a whole network's.

    Of a whole network, heads for another number of classes are left at random.
    Raises ModelFileError if the file fits neither.
    """
    check_readable(path)
    weights = read_weights(path)
    if is_segmentation_network(weights):
        _load_whole(network, weights, path)
    else:
        _load_encoder(network, weights, path)


def _load_whole(network: PVTGDLA, weights: dict[str, np.ndarray], path: Path) -> None:
    own = _shapes(network)
    check_encoder(weights, own, path)
    left = {
        name
        for name in own.keys() | weights.keys()
        if name.startswith(_HEADS)
        and (name not in own or name not in weights or weights[name].shape != own[name])
    }
    expected = {name: shape for name, shape in own.items() if name not in left}
    used = {name: value for name, value in weights.items() if name not in left}
    _fill(network, fitted(used, expected, path, "the network to train"))


def _load_encoder(network: PVTGDLA, weights: dict[str, np.ndarray], path: Path) -> None:
    weights = as_encoder(weights)
    if not is_encoder(weights):
        raise ModelFileError(
            f"{path} holds another network: neither a PVTv2 encoder nor a PVT-GDLA.",
            "Choose ImageNet weights of PVTv2, such as pvt_v2_b2.pth, or a PVT-GDLA checkpoint.",
        )
    expected = _shapes(network.encoder)
    check_encoder(weights, expected, path)
    _fill(network.encoder, fitted(weights, expected, path, "the PVTv2 encoder to train"))


def _fill(module: nn.Module, weights: Mapping[str, np.ndarray]) -> None:
    """Copy ``weights``, which were found to fit, into ``module``; others of its own stay."""
    tensors = {name: torch.from_numpy(value) for name, value in weights.items()}
    module.load_state_dict(tensors, strict=False)


def _shapes(module: nn.Module) -> Shapes:
    state = _without_counters(module.state_dict())
    return {name: tuple(value.shape) for name, value in state.items()}


def _without_counters(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in weights.items() if not name.endswith(COUNTER)}
