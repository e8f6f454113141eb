"""What a model file is that a user brings, and which known models it can be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from GDLACore.calibration.input_check import InputVerdict, check_inputs
from GDLACore.calibration.input_statistics import input_statistics
from GDLACore.errors import ModelFileError
from GDLACore.model.card import ModelCard
from GDLACore.model.catalogue import catalogue
from GDLACore.model.file_access import check_readable
from GDLACore.model.onnx_file import check_onnx_file
from GDLACore.storage.control import Control
from GDLACore.storage.model import MODEL_SUFFIXES
from GDLACore.weights.card_choice import card_file
from GDLACore.weights.fitting import Weights, check_card, check_encoder, fitted
from GDLACore.weights.loading import AUXILIARY, ModelWeights, load_weights, read_weights
from GDLACore.weights.shapes import weight_shapes


@dataclass(frozen=True)
class Candidate:
    """A model that a file can be. ``inputs`` is whether its weights agree with the card's
    intensity profile, None for an ONNX file, which does not tell.
    """

    card: ModelCard
    inputs: InputVerdict | None

    @property
    def sentence(self) -> str:
        """Return what was found, such as "9 classes, 1 channel: fits Abdominal organs."."""
        channels = f"{self.card.in_channels} channel{'' if self.card.in_channels == 1 else 's'}"
        found = f"{self.card.classes} classes, {channels}: fits {self.card.title}."
        return f"{found} {self.inputs.sentence}" if self.inputs else found


@dataclass(frozen=True)
class Examination:
    """A model file that can be used.

    ``brings_card``: the file, or one beside it, says which model it is, and that is the only one
    of ``candidates``. Else these are all models of the catalogue that its weights fit, and the
    user has to say which it is.
    """

    path: Path
    brings_card: bool
    candidates: tuple[Candidate, ...]


def examine(path: Path, control: Control | None = None) -> Examination:
    """Return what the model file at ``path`` can be; nothing in it is executed.

    Raises ModelFileError if it is no model file, damaged, another network, or none that is known
    here; Cancelled.
    """
    control = control or Control()
    check_readable(path)
    suffix = path.suffix.lower()
    if suffix not in MODEL_SUFFIXES:
        known = " or ".join(MODEL_SUFFIXES)
        raise ModelFileError(f"{path} is not a model file.", f"Choose one that ends with {known}.")
    control.report("reading", 0)
    if suffix == ".onnx":
        return Examination(path, True, (Candidate(check_onnx_file(path), None),))
    if suffix == ".safetensors" or card_file(path).exists():
        return Examination(path, True, (candidate(load_weights(path)),))
    weights = read_weights(path)
    control.check()
    cards = [entry.card for entry in catalogue() if _fits(weights, entry.card, path)]
    if not cards:
        load_weights(path)  # says why not
    statistics = input_statistics(weights)
    candidates = [Candidate(card, check_inputs(statistics, card)) for card in cards]
    return Examination(path, False, tuple(candidates))


def candidate(model: ModelWeights) -> Candidate:
    """Return what the weights of ``model`` say about its card."""
    return Candidate(model.card, check_inputs(input_statistics(model.tensors), model.card))


def _fits(weights: Weights, card: ModelCard, path: Path) -> bool:
    expected = weight_shapes(card.architecture, card.in_channels, card.classes)
    used = {name: value for name, value in weights.items() if not name.startswith(AUXILIARY)}
    try:
        check_card(weights, card, path)
        check_encoder(weights, expected, path)
        fitted(used, expected, path, card.name)
    except ModelFileError:
        return False
    return True
