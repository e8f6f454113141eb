"""What a trial says about a card's slice view and intensity profile, in plain sentences."""

from __future__ import annotations

from dataclasses import dataclass

from GDLACore.calibration.certainty import lead
from GDLACore.calibration.input_check import InputVerdict
from GDLACore.calibration.trial import Attempt, Trial
from GDLACore.model.card import IntensityProfile, ModelCard

# Trained networks reach 0.8 when fed as they were taught and 0.4 to 0.8 otherwise; untrained ones
# stay below 0.2 whatever they are fed.
LEAST_CERTAINTY = 0.4

AGREES, ANOTHER, UNCLEAR = "agrees", "another", "unclear"


_ONE_SLICE = (
    "All this rests on a single slice, which may be an exception: try other images as well before "
    "you rely on it."
)
_OVERFLOW = "which gives no finite numbers"
_NOR_INTENSITY = "Nor can it be told which intensity profile is right."


@dataclass(frozen=True)
class Choice:
    """What was found about one property of a card.

    ``outcome``: AGREES if the card's own value is clearly the best, ANOTHER if ``found`` is clearly
    better than it and than all others, UNCLEAR if the trial cannot tell; then ``found`` is the
    card's own. ``rivals`` are the values that could not be told apart from the best. An intensity
    profile that the network cannot have been taught with is replaced even if there are rivals.
    """

    found: str
    outcome: str
    rivals: tuple[str, ...]
    sentence: str


@dataclass(frozen=True)
class Advice:
    """How to feed the network after a trial: ``view`` and ``intensity``, and why.

    ``caution`` says what weakens all of it, "" if nothing does.
    """

    view: str
    intensity: IntensityProfile
    view_choice: Choice
    intensity_choice: Choice
    caution: str = ""


def advise(trial: Trial, card: ModelCard, inputs: InputVerdict | None = None) -> Advice:
    """Return the advice that ``trial`` gives to a user of ``card``.

    What ``inputs``, the weights' own word, rules out is not advised. It outweighs the trial: a
    network can be very certain of images that are nothing like what it was taught, such as of lungs
    wherever values are too low.
    """
    allowed = [a for a in trial.attempts if inputs is None or not inputs.rules_out(a.intensity)]
    allowed = allowed or list(trial.attempts)
    best = allowed[0]
    if best.certainty < LEAST_CERTAINTY:
        return _uncertain(best, card)
    in_best_view = [attempt for attempt in allowed if attempt.view == best.view]
    excluded = inputs is not None and inputs.rules_out(card.intensity)
    fault = "contradicts the weights" if excluded else "gives no finite numbers"
    intensity, intensity_choice = _choose_intensity(in_best_view, card, fault)
    # Even if it cannot be told which profile is to follow a wrong one, a good one shows the view.
    fed = best.intensity if _own_is_behind(in_best_view, card) else intensity
    views = [attempt for attempt in allowed if attempt.intensity == fed]
    view_choice = _choose_view(views, card)
    caution = _ONE_SLICE if len(trial.slices) == 1 else ""
    return Advice(view_choice.found, intensity, view_choice, intensity_choice, caution)


def withheld(card: ModelCard, reason: str) -> Advice:
    """Return the advice to keep ``card`` because nothing can be told, for ``reason``."""
    sentence = f"Which view is right cannot be told on this volume: {reason}."
    intensity = Choice(profile_text(card.intensity), UNCLEAR, (), _NOR_INTENSITY)
    return Advice(card.view, card.intensity, Choice(card.view, UNCLEAR, (), sentence), intensity)


def _uncertain(best: Attempt, card: ModelCard) -> Advice:
    sentence = (
        f"The network is not certain of anything in any view (certainty {best.certainty:.2f} at "
        f"best), so the right one cannot be told: its weights may be untrained, or the image may "
        f"not show what it was taught."
    )
    intensity = Choice(profile_text(card.intensity), UNCLEAR, (), _NOR_INTENSITY)
    return Advice(card.view, card.intensity, Choice(card.view, UNCLEAR, (), sentence), intensity)


def _choose_view(attempts: list[Attempt], card: ModelCard) -> Choice:
    """Choose among attempts that differ in their view only, the most certain first."""
    best = attempts[0]
    rivals = [a for a in attempts[1:] if not _ahead(best, a)]
    own = next((attempt for attempt in attempts if attempt.view == card.view), None)
    close = _listed([f"{a.view} ({a.certainty:.2f})" for a in (best, *rivals) if a is not own])
    if own is best and not rivals:
        second = [f", next {a.view} with {a.certainty:.2f}" for a in attempts[1:2]]
        return Choice(
            card.view,
            AGREES,
            (),
            f"The card says {card.view}; the volume agrees (certainty {own.certainty:.2f}"
            f"{''.join(second)}).",
        )
    if own is best or own in rivals:
        alike = f"{close} cannot be told apart from it."
        if len(rivals) == len(attempts) - 1:
            alike = (
                f"no view is clearly ahead (certainty {attempts[-1].certainty:.2f} to "
                f"{best.certainty:.2f}). What is shown may have no upright position, such as a "
                f"lesion of the skin, or may not be what the network was taught."
            )
        return Choice(
            card.view,
            UNCLEAR,
            tuple(a.view for a in (best, *rivals) if a is not own),
            f"The card says {card.view} (certainty {own.certainty:.2f}), but whether that is right "
            f"is not clear: {alike}",
        )
    fault = f"certainty {own.certainty:.2f}" if own else _OVERFLOW
    if rivals:
        behind = own is None or all(_ahead(a, own) for a in rivals)
        also = "" if behind else f", and not all of them are clearly ahead of {card.view}"
        return Choice(
            card.view,
            UNCLEAR,
            tuple(a.view for a in (best, *rivals)),
            f"The card says {card.view} ({fault}), and another view may be right, but which cannot "
            f"be told: {close} cannot be told apart{also}.",
        )
    return Choice(
        best.view,
        ANOTHER,
        (),
        f"The card says {card.view} ({fault}), but {best.view} looks right "
        f"({best.certainty:.2f}): use {best.view}.",
    )


def _choose_intensity(
    attempts: list[Attempt], card: ModelCard, absent: str
) -> tuple[IntensityProfile, Choice]:
    """Choose among attempts that differ in their intensity profile only, most certain first.

    ``absent`` says what speaks against the card's own where it is not among them.
    """
    best = attempts[0]
    rivals = [a for a in attempts[1:] if not _ahead(best, a)]
    own = next((attempt for attempt in attempts if attempt.intensity == card.intensity), None)
    text = profile_text(card.intensity)
    if own is best or own in rivals:
        others = [a for a in (best, *rivals) if a is not own]
        names = tuple(profile_text(a.intensity) for a in others)
        sentence = f"The card's {text} suits the network (certainty {own.certainty:.2f})"
        sentence += f", and so would {_listed(list(names))}." if names else "."
        return card.intensity, Choice(text, UNCLEAR if names else AGREES, names, sentence)
    found = profile_text(best.intensity)
    names = tuple(profile_text(a.intensity) for a in rivals)
    if own and rivals:
        alike = (found, *names)
        behind = all(_ahead(a, own) for a in rivals)
        also = "" if behind else f", and not all of them are clearly ahead of {text}"
        sentence = (
            f"The card's {text} has certainty {own.certainty:.2f} only, and another may be right, "
            f"but which cannot be told: {_listed(list(alike))} cannot be told apart{also}."
        )
        return card.intensity, Choice(text, UNCLEAR, alike, sentence)
    sentence = f"use {found} (certainty {best.certainty:.2f})"
    sentence += f", or as well {_listed(list(names))}." if names else "."
    fault = f"has certainty {own.certainty:.2f} only" if own else absent
    return best.intensity, Choice(found, ANOTHER, names, f"The card's {text} {fault}: {sentence}")


def _own_is_behind(attempts: list[Attempt], card: ModelCard) -> bool:
    """Return whether the first of ``attempts`` is clearly ahead of the card's own profile."""
    own = next((attempt for attempt in attempts if attempt.intensity == card.intensity), None)
    return own is None or _ahead(attempts[0], own)


def _ahead(first: Attempt, second: Attempt) -> bool:
    return lead(first.answer, second.answer).clear


def profile_text(profile: IntensityProfile) -> str:
    """Return a profile in one line, such as "ct_window -125 to 275"."""
    if profile.kind == "ct_window":
        return f"ct_window {profile.lower:g} to {profile.upper:g}"
    return profile.kind


def _listed(items: list[str]) -> str:
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)
