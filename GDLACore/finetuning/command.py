"""Teach a model on what its users have corrected, and keep the result only if it is no worse."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors.numpy import save

from GDLACore.atomic import replacing, unwritable
from GDLACore.engine.torch_engine import TorchEngine
from GDLACore.errors import ModelFileError, TrainingError
from GDLACore.export.model_file import write_onnx_model
from GDLACore.finetuning.callbacks import KeptParts, StopNoBetter
from GDLACore.finetuning.cases import ExaminedCase, examine
from GDLACore.finetuning.finetuned_card import Origin, finetuned_card, finetuned_name
from GDLACore.finetuning.held_out import Split
from GDLACore.finetuning.report import Report, write_report
from GDLACore.finetuning.scores import findings, judged
from GDLACore.model.bundle import CARD_KEY
from GDLACore.model.card import MIXERS, ModelCard
from GDLACore.model.catalogue import model_file
from GDLACore.network.checkpoint import load_model, network_of, save_model
from GDLACore.network.pvt_gdla import PVTGDLA
from GDLACore.training.cases import IGNORED
from GDLACore.training.command import train_plan
from GDLACore.training.dataset import Dataset
from GDLACore.training.file_hash import sha256
from GDLACore.training.recipe import Recipe, TrainingPlan
from GDLACore.training_set import read_training_set
from GDLACore.weights.exported import load_exported
from GDLACore.weights.loading import ModelWeights, load_weights

MODEL, MODEL_ONNX, START = "model.safetensors", "model.onnx", "start.safetensors"

_WARM_UP = 20
_AVERAGE = 0.98  # the weights of about the last fifty iterations
_TRUNK_MM = 250.0

Splitting = Callable[[Sequence[ExaminedCase]], Split]


@dataclass(frozen=True)
class Settings:
    """How far a model may go from where it starts.

    Few steps of a small learning rate: a few cases cannot replace what thousands of slices taught.
    Every ``validate_every`` iterations what is held out is looked at; after ``patience`` such looks
    without a better mean Dice the training ends. A result is refused if a structure's Dice fell by
    more than ``tolerance``. ``name`` is the new model's; None makes it from the start's.
    """

    iterations: int = 300
    learning_rate: float = 1e-4
    batch_size: int = 8
    validate_every: int = 25
    patience: int = 4
    tolerance: float = 0.02
    seed: int = 42
    name: str | None = None


def load_start(model: str | Path, card: str | Path | None) -> ModelWeights:
    """Return the model to start from: any that can be used, an exported one (.onnx) included.

    Raises ModelFileError if it cannot be read.
    """
    path = model_file(model)
    return load_exported(path) if path.suffix.lower() == ".onnx" else load_weights(path, card)


def finetune(
    start: ModelWeights,
    cases: Path,
    output: Path,
    settings: Settings,
    split: Splitting,
    *,
    device: str = "auto",
    resume: bool = False,
    force: bool = False,
) -> Report:
    """Teach ``start`` on the corrected ``cases`` and return the report on what came out.

    ``split`` chooses what is held out. The folder ``output`` receives ``training`` (as ``gdla
    train`` leaves it), ``report.html``, ``report.json``, and the model, as ``model.safetensors``
    and ``model.onnx``, if it is no worse than ``start`` on what was held out or ``force`` is set.
    All files appear whole. ``resume`` goes on with a training that was stopped.

    Raises TrainingError, VolumeError or ModelFileError, before anything is taught, for cases that
    cannot be used, and TrainingError, with the report written, if the result is refused.
    """
    card = start.card
    if not resume and (output / MODEL).exists():
        raise TrainingError(
            f"{output} already holds a fine-tuned model.", "Choose another folder for this one."
        )
    if card.classes > IGNORED:
        raise TrainingError(
            f"{card.name} has {len(card.labels)} structures; at most {IGNORED - 1} can be taught.",
            "Choose a model with fewer.",
        )
    examined = tuple(examine(case, card) for case in read_training_set(cases))
    chosen = split(examined)
    before = findings(TorchEngine(network_of(start), card, device), chosen.held_out)
    if not any(finding.scores.reference_ml for finding in before):
        raise TrainingError(
            "What is held out shows none of the structures, so nothing could be judged.",
            "Hold out other cases (--hold-out).",
        )
    origin = Origin(card, sha256(start.path))
    name = settings.name or finetuned_name(card)
    _check_card(finetuned_card(origin, name, chosen, judged(before, before, settings.tolerance)))
    plan = TrainingPlan(card, cases, recipe_for(card, settings, examined), output / START)
    network = _taught(start, plan, output, settings, chosen, device=device, resume=resume)
    after = findings(TorchEngine(copy.deepcopy(network), card, device), chosen.held_out)
    verdict = judged(before, after, settings.tolerance)
    report = Report(
        origin=origin,
        card=finetuned_card(origin, name, chosen, verdict),
        split=chosen,
        examined=examined,
        before=tuple(before),
        after=tuple(after),
        verdict=verdict,
        recipe=plan.recipe,
        tolerance=settings.tolerance,
        saved=force or not verdict.refusal,
    )
    if report.saved:
        _save(output, network, report.card)
    page = write_report(output, report)
    if not report.saved:
        raise TrainingError(
            f"{verdict.refusal} Nothing was saved; all scores are in {page}.",
            "Add cases and try again, or save it all the same (--resume --force).",
        )
    return report


def recipe_for(card: ModelCard, settings: Settings, cases: Sequence[ExaminedCase]) -> Recipe:
    """Return the recipe to fine-tune the model of ``card`` on ``cases``.

    Axial CT of a fixed window is cut anew through the volumes, where they are as wide as a trunk:
    cuts through less show mostly air. Other images are rotated a little, never mirrored, because a
    model that was taught to tell left from right must not unlearn it.
    """
    resliced = (
        (card.modality, card.slice_axis, card.view) == ("CT", "axial", "identity")
        and (card.in_channels, card.intensity.kind) == (1, "ct_window")
        and min(case.extent for case in cases) >= _TRUNK_MM
    )
    return Recipe(
        augmentation="resliced" if resliced else "published",
        reflections="none",
        rotation="ignored_corners",
        masks="kept",
        batch_size=settings.batch_size,
        iterations=settings.iterations,
        warm_up=min(_WARM_UP, settings.iterations // 4),
        learning_rate=settings.learning_rate,
        cross_entropy=0.5,
        supervision_stride=8,  # of heads that are not taught
        average=_AVERAGE,
        validate_every=min(settings.validate_every, settings.iterations),
        seed=settings.seed,
    )


def _check_card(card: ModelCard) -> None:
    """Raise TrainingError if no model file could be read that has ``card``."""
    try:
        ModelCard.from_json(card.to_json())
    except ModelFileError as error:
        raise TrainingError(
            f"The fine-tuned model cannot be called {card.name!r}: {error.message}",
            "Choose another name (--name).",
        ) from error


def _taught(
    start: ModelWeights,
    plan: TrainingPlan,
    output: Path,
    settings: Settings,
    split: Split,
    *,
    device: str,
    resume: bool,
) -> PVTGDLA:
    """Return the network with the weights that did best on what is held out."""
    names = tuple(label.name for label in start.card.labels)
    folder = output / "training"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    with replacing(output / START) as part:
        part.write_bytes(save(dict(start.tensors), {CARD_KEY: start.card.to_json()}))
    try:
        train_plan(
            plan,
            Dataset(names, (), split.learning, split.held_out),
            folder,
            device=device,
            resume=resume,
            callbacks=(KeptParts(), StopNoBetter(settings.patience)),
        )
    finally:
        shutil.rmtree(folder / "cache", ignore_errors=True)  # images, unpacked
    network, _ = load_model(folder / "best.safetensors")
    return network


def _save(output: Path, network: PVTGDLA, card: ModelCard) -> None:
    path = save_model(output / MODEL, network, card)
    if card.architecture.mixer in MIXERS:
        write_onnx_model(output / MODEL_ONNX, load_weights(path))
