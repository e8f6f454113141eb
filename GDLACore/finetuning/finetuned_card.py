"""The card of a fine-tuned model: what it was, what was added, and how it was judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from GDLACore.finetuning.cases import ReviewedCase
from GDLACore.finetuning.held_out import Split
from GDLACore.finetuning.scores import Change, Verdict
from GDLACore.model.card import ModelCard

_SUFFIX = "-finetuned"
_LONGEST_NAME = 64
_NOT_CLINICAL = "Not a medical device; not for clinical use."


@dataclass(frozen=True)
class Origin:
    """The model that a fine-tuning started from: its card, and the hash of its file."""

    card: ModelCard
    sha256: str


def finetuned_name(card: ModelCard) -> str:
    """Return the name of a model made from that of ``card``; one made again keeps its name."""
    if card.name.endswith(_SUFFIX):
        return card.name
    return card.name[: _LONGEST_NAME - len(_SUFFIX)] + _SUFFIX


def finetuned_card(origin: Origin, name: str, split: Split, verdict: Verdict) -> ModelCard:
    """Return the card of what became of ``origin`` by learning from ``split``."""
    card, old = origin.card, origin.card.provenance
    learning = split.learning
    use = old.intended_use
    if "not for clinical use" not in use.casefold():
        use = f"{use.rstrip('.')}. {_NOT_CLINICAL}"
    caveats = [
        *old.caveats,
        f"Fine-tuned on {_counted(learning)}: what the caveats above and the notes of the "
        "structures say was found out before that.",
        f"Mean Dice on {_held_out(split)} before and after fine-tuning: {_numbers(verdict.mean)}.",
    ]
    names = [label.name for label in card.labels]
    if untaught := split.untaught(names):
        caveats.append(f"No case taught {', '.join(untaught)}: fine-tuning may have spoilt them.")
    if unjudged := verdict.unjudged(names):
        caveats.append(f"No held-out case shows {', '.join(unjudged)}: nobody knows how they do.")
    if verdict.refusal:
        caveats.append(f"Saved although it is worse than the start: {verdict.refusal}")
    return replace(
        card,
        name=name,
        version=f"{card.version}+{len(learning)}",
        title=card.title if card.name == name else f"{card.title}, fine-tuned",
        sha256=None,
        provenance=replace(
            old,
            source=f"Fine-tuned with `gdla finetune` from {card.name} {card.version}, the file "
            f"with the SHA-256 {origin.sha256}",
            training_data=f"{old.training_data.rstrip('.')}. Then {_counted(learning)}",
            intended_use=use,
            caveats=tuple(caveats),
        ),
    )


def _counted(cases: Sequence[ReviewedCase]) -> str:
    slices = sum(end - first for case in cases for first, end in case.taught)
    return (
        f"{_plural(len(cases), 'corrected case')} of "
        f"{_plural(len({case.patient for case in cases}), 'patient')} "
        f"({_plural(slices, 'reviewed slice')})"
    )


def _held_out(split: Split) -> str:
    if split.independent:
        patients = len({case.patient for case in split.held_out})
        return f"{_plural(patients, 'patient')} that took no part in it"
    return "held-out slices of the same patients, who are thus no independent witnesses,"


def _numbers(change: Change) -> str:
    if change.start is None or change.result is None:
        return "unknown"
    return f"{change.start.value:.3f} and {change.result.value:.3f}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
