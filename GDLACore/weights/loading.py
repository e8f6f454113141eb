"""From a model's name or file to its card and its weights, ready to be built into any engine."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from GDLACore.errors import ModelFileError
from GDLACore.model.card import ModelCard
from GDLACore.model.catalogue import catalogue, model_file
from GDLACore.model.file_access import check_readable
from GDLACore.weights.card_choice import card_file, checkpoint_card, own_card
from GDLACore.weights.fitting import (
    Weights,
    as_encoder,
    check_card,
    check_encoder,
    fitted,
    is_encoder,
    is_segmentation_network,
)
from GDLACore.weights.names import network_name
from GDLACore.weights.safetensors_file import read_safetensors, weights_sha256
from GDLACore.weights.shapes import weight_shapes
from GDLACore.weights.torch_file import read_torch_file

_log = logging.getLogger(__name__)

# Heads that exist only to teach, and counters of batches.
AUXILIARY = "auxiliary_heads."
COUNTER = "num_batches_tracked"


@dataclass(frozen=True, eq=False)
class ModelWeights:
    """A model whose weights are those its card describes, all of them finite.

    ``tensors`` are float32 in C order with the names and shapes of ``weight_shapes``, in its order.
    """

    card: ModelCard
    tensors: dict[str, np.ndarray]
    path: Path


def load_weights(model: str | Path, card: str | Path | None = None) -> ModelWeights:
    """Return the weights and the card of ``model``.

    ``model`` is a catalogue name, a ``.safetensors`` file with the card inside, or an authors'
    ``.ckpt``, whose card is ``card`` or the file ``<model>.card.json`` beside it. ``card`` is a
    name of the catalogue or the path of a card's ``.json`` file; with a card inside the model, only
    a file that describes the same network can take its place. The deep-supervision heads are left
    out.

    Raises ModelFileError for everything that does not fit together.
    """
    path = model_file(model)
    check_readable(path)
    if _is_safetensors(path):
        own = own_card(path, card)
        return _fitting(own, _by_our_names(read_safetensors(path, own.sha256), path), path)
    chosen = checkpoint_card(path, card)
    weights = read_weights(path)
    if chosen is None:
        _check_kind(weights, path)
        raise _without_card(path, weights)
    return _fitting(_without_wrong_hash(chosen, weights, path), weights, path)


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Return all weights of a ``.safetensors`` or PyTorch file under our names.

    Counters of batches are left out. Raises ModelFileError if the file cannot be read.
    """
    read = read_safetensors if _is_safetensors(path) else read_torch_file
    return _by_our_names(read(path), path)


def _fitting(card: ModelCard, weights: Weights, path: Path) -> ModelWeights:
    """Return the part of ``weights`` that infers, if they are those of the network of ``card``."""
    _check_kind(weights, path)
    check_card(weights, card, path)
    expected = weight_shapes(card.architecture, card.in_channels, card.classes)
    check_encoder(weights, expected, path)
    used = {n: v for n, v in weights.items() if not n.startswith(AUXILIARY)}
    what = f"the model {card.name} ({card.architecture})"
    return ModelWeights(card, fitted(used, expected, path, what), path)


def _without_wrong_hash(card: ModelCard, weights: Weights, path: Path) -> ModelCard:
    """Return ``card``; without its hash, and with a warning, if it is that of other weights."""
    if card.sha256 is None:
        return card
    used = sorted(name for name in weights if not name.startswith(AUXILIARY))
    if weights_sha256((name, weights[name]) for name in used) == card.sha256:
        return card
    _log.warning(
        "The weights in %s are not those that the card %s was written for: what it says of "
        "their results does not hold for them.",
        path,
        card.name,
    )
    return replace(card, sha256=None)


def _by_our_names(weights: Weights, path: Path) -> dict[str, np.ndarray]:
    named = {network_name(name): value for name, value in weights.items()}
    if len(named) < len(weights):
        raise ModelFileError(
            f"{path} holds the weights of two networks, one by the authors' names.",
            "Choose a PVT-GDLA checkpoint.",
        )
    return {name: value for name, value in named.items() if not name.endswith(COUNTER)}


def _without_card(path: Path, weights: Weights) -> ModelFileError:
    beside = card_file(path).name
    names = [entry.name for entry in catalogue() if _fits(weights, entry.card, path)]
    named = f"Name its card ({' or '.join(names)}) or put" if names else "Put its card,"
    return ModelFileError(
        f"{path} does not say which model it is.",
        f"{named} {beside}{'' if names else ','} beside it.",
    )


def _fits(weights: Weights, card: ModelCard, path: Path) -> bool:
    try:
        check_card(weights, card, path)
    except ModelFileError:
        return False
    return True


def _check_kind(weights: Weights, path: Path) -> None:
    if is_segmentation_network(weights):
        return
    if any(name.startswith("network.encoder.") for name in weights):
        raise ModelFileError(
            f"{path} is the state of a training, not a model.",
            "Use final.safetensors or best.safetensors beside it.",
        )
    if is_encoder(as_encoder(weights)):
        raise ModelFileError(
            f"{path} holds only a PVTv2 encoder, not a segmentation network.",
            "It can be used as initial_weights in training.",
        )
    raise ModelFileError(
        f"{path} holds another network: its weights are not a PVT-GDLA's.",
        "Choose a PVT-GDLA checkpoint.",
    )


def _is_safetensors(path: Path) -> bool:
    return path.suffix.lower() == ".safetensors"
