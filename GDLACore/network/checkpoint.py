"""Checkpoints in and out: the authors' ``.ckpt``, PVTv2 encoders and our ``.safetensors``."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from GDLACore.atomic import replacing
from GDLACore.errors import ModelFileError
from GDLACore.model.bundle import CARD_KEY, read_card, read_card_file
from GDLACore.model.card import ModelCard
from GDLACore.model.catalogue import catalogue, find
from GDLACore.network.fitting import (
    check_card,
    check_encoder,
    check_finite,
    fitted,
    is_segmentation_network,
)
from GDLACore.network.official_names import encoder_name, network_name
from GDLACore.network.pvt_gdla import PVTGDLA
from GDLACore.network.torch_file import check_readable, read_weights

# Heads that exist only to teach, counters of batches, and what may differ between two tasks.
_AUXILIARY = "auxiliary_heads."
_COUNTER = "num_batches_tracked"
_HEADS = ("head.", _AUXILIARY)


def load_model(model: str | Path, card_name: str | None = None) -> tuple[PVTGDLA, ModelCard]:
    """Return the network of ``model``, ready for inference, and its card.

    ``model`` is a catalogue name, a ``.safetensors`` file with the card inside, or an authors'
    ``.ckpt``, whose card is the catalogue's ``card_name`` or the file ``<model>.card.json`` beside
    it. The deep-supervision heads are left out.

    Raises ModelFileError for everything that does not fit together.
    """
    path = _path(model)
    check_readable(path)
    chosen = find(card_name).card if card_name is not None else None
    if _is_safetensors(path):
        card, weights = _own_card(path, chosen), _read_safetensors(path)
        _check_hash(weights, card, path)
        _check_kind(weights, path)
    else:
        weights = _in_our_names(read_weights(path))
        _check_kind(weights, path)
        card = chosen or _card_beside(path, weights)
    check_card(weights, card, path)
    network = build_network(card)
    network.auxiliary_heads = nn.ModuleList()
    expected = _without_counters(network.state_dict())
    check_encoder(weights, expected, path)
    used = {n: v for n, v in _without_counters(weights).items() if not n.startswith(_AUXILIARY)}
    what = f"{card.name} (PVTv2-{card.architecture.encoder}, {card.architecture.mixer})"
    network.load_state_dict(fitted(used, expected, path, f"the model {what}"), strict=False)
    return network.eval(), card


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
    weights = {
        name: value.detach().cpu().to(torch.float16).contiguous()
        for name, value in _without_counters(network.state_dict()).items()
        if not name.startswith(_AUXILIARY)
    }
    for name, value in weights.items():
        check_finite(name, value, f"The weights for {path}, in half precision,")
    card = dataclasses.replace(card, sha256=_hash(weights))
    with replacing(path) as part:
        part.write_bytes(save(weights, {CARD_KEY: card.to_json()}))
    return path


def load_initial_weights(network: PVTGDLA, path: Path) -> None:
    """Start ``network`` from ``path``: ImageNet PVTv2 weights, or a whole network's.

    Of a whole network, heads for another number of classes are left at random.
    Raises ModelFileError if the file fits neither.
    """
    check_readable(path)
    given = _read_safetensors(path) if _is_safetensors(path) else read_weights(path)
    weights = _in_our_names(given)
    if is_segmentation_network(weights):
        _load_whole(network, weights, path)
    else:
        _load_encoder(network, weights, path)


def _load_whole(network: PVTGDLA, weights: dict[str, Tensor], path: Path) -> None:
    own = network.state_dict()
    check_encoder(weights, own, path)
    left = {
        name
        for name in own.keys() | weights.keys()
        if name.startswith(_HEADS)
        and (name not in own or name not in weights or weights[name].shape != own[name].shape)
    }
    expected = {n: v for n, v in _without_counters(own).items() if n not in left}
    used = {n: v for n, v in _without_counters(weights).items() if n not in left}
    network.load_state_dict(fitted(used, expected, path, "the network to train"), strict=False)


def _load_encoder(network: PVTGDLA, weights: dict[str, Tensor], path: Path) -> None:
    weights = _as_encoder(weights)
    if not _is_encoder(weights):
        raise ModelFileError(
            f"{path} holds another network: neither a PVTv2 encoder nor a PVT-GDLA.",
            "Choose ImageNet weights of PVTv2, such as pvt_v2_b2.pth, or a PVT-GDLA checkpoint.",
        )
    expected = network.encoder.state_dict()
    check_encoder(weights, expected, path)
    network.encoder.load_state_dict(fitted(weights, expected, path, "the PVTv2 encoder to train"))


def _path(model: str | Path) -> Path:
    """Return the file of ``model``; a bare name that is no file is looked up in the catalogue."""
    path = Path(model)
    if path.suffix or path.is_file() or path.name != str(model):
        return path
    entry = find(str(model))
    if entry.resource is None:
        raise ModelFileError(
            f"The checkpoint of {model} is not on this computer.",
            f"Download it from {entry.card.provenance.source} and give the file's path, "
            f"with --card {model}.",
        )
    return entry.resource


def _own_card(path: Path, chosen: ModelCard | None) -> ModelCard:
    card = read_card(path)
    if chosen is not None and chosen.name != card.name:
        raise ModelFileError(
            f"{path} is the model {card.name} and cannot be used as {chosen.name}.",
            "Leave out the card: this file brings its own.",
        )
    return card


def _card_beside(path: Path, weights: Mapping[str, Tensor]) -> ModelCard:
    beside = path.with_suffix(".card.json")
    if beside.exists():
        return read_card_file(beside)
    names = [entry.card.name for entry in catalogue() if _fits(weights, entry.card, path)]
    named = f"Name its card ({' or '.join(names)}) or put" if names else "Put its card,"
    raise ModelFileError(
        f"{path} does not say which model it is.",
        f"{named} {beside.name}{'' if names else ','} beside it.",
    )


def _fits(weights: Mapping[str, Tensor], card: ModelCard, path: Path) -> bool:
    try:
        check_card(weights, card, path)
    except ModelFileError:
        return False
    return True


def _check_kind(weights: Mapping[str, Tensor], path: Path) -> None:
    if is_segmentation_network(weights):
        return
    if any(name.startswith("network.encoder.") for name in weights):
        raise ModelFileError(
            f"{path} is the state of a training, not a model.",
            "Use final.safetensors or best.safetensors beside it.",
        )
    if _is_encoder(_as_encoder(weights)):
        raise ModelFileError(
            f"{path} holds only a PVTv2 encoder, not a segmentation network.",
            "It can be used as initial_weights in training.",
        )
    raise ModelFileError(
        f"{path} holds another network: its weights are not a PVT-GDLA's.",
        "Choose a PVT-GDLA checkpoint.",
    )


def _in_our_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {network_name(name): value for name, value in weights.items()}


def _as_encoder(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return an encoder's weights by timm's names, less the ImageNet classifier."""
    return {
        encoder_name(name.removeprefix("encoder.")): value
        for name, value in weights.items()
        if not name.startswith("head.")
    }


def _is_encoder(weights: Mapping[str, Tensor]) -> bool:
    return any(name.startswith("patch_embed.") for name in weights) and any(
        name.startswith("stages.") for name in weights
    )


def _without_counters(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in weights.items() if not name.endswith(_COUNTER)}


def _is_safetensors(path: Path) -> bool:
    return path.suffix.lower() == ".safetensors"


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    # Not only SafetensorError: a type of number unknown to this version is a KeyError.
    except Exception as error:
        raise ModelFileError(
            f"{path} is damaged and cannot be read.", "Copy or download the file again."
        ) from error


def _check_hash(weights: Mapping[str, Tensor], card: ModelCard, path: Path) -> None:
    if card.sha256 is not None and card.sha256 != _hash(weights):
        raise ModelFileError(
            f"{path} is damaged: its weights are not those its card was written for.",
            "Copy or download the file again.",
        )


def _hash(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of the names and bytes of ``weights``, sorted by name."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
