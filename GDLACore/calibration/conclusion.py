"""What to do after a calibration, in one or two sentences."""

from __future__ import annotations

from GDLACore.calibration.advice import UNCLEAR, profile_text
from GDLACore.calibration.findings import Findings, calibrated_card
from GDLACore.calibration.input_check import DIFFERS
from GDLACore.calibration.label_order import ANOTHER_ORDER, EXCHANGED, IMPLAUSIBLE, MIRRORED

_DOUBTS = {
    ANOTHER_ORDER: "Find out which label means which organ before you use the model.",
    EXCHANGED: "Find out why two labels look exchanged before you use the model.",
    IMPLAUSIBLE: "Do not rely on the labels: they do not lie where such organs lie.",
    MIRRORED: "Find out why left and right look exchanged before you use the model.",
}


def changes(findings: Findings) -> tuple[str, ...]:
    """Return what of the card is to be changed, empty if nothing."""
    card, found = findings.card, calibrated_card(findings)
    changed = []
    if found.view != card.view:
        changed.append(f"view {found.view} instead of {card.view}")
    if found.intensity != card.intensity:
        new, old = profile_text(found.intensity), profile_text(card.intensity)
        changed.append(f"intensity {new} instead of {old}")
    if found.labels != card.labels:
        changed.append(f"{findings.label_order.order}'s label order instead of the card's")
    return tuple(changed)


def conclusion(findings: Findings) -> str:
    """Return whether to keep the card or what to change, and what is left to doubt."""
    if findings.obstacle is not None:
        return (
            f"It cannot be told on this volume how the model is to be fed. "
            f"{findings.obstacle.remedy}"
        )
    card, changed = findings.card, changes(findings)
    unclear = findings.advice.view_choice.outcome == UNCLEAR
    if changed:
        sentences = [f"Change the card: {' and '.join(changed)}."]
        if unclear:
            sentences.append("Whether its view is right, this volume does not show.")
    elif unclear:
        sentences = [
            "Keep the card, although this volume does not prove it right: try another one that "
            "shows clearly what the model segments."
        ]
    else:
        sentences = [
            f"Keep the card: view {card.view} and intensity {profile_text(card.intensity)} suit "
            f"this volume."
        ]
    inputs, order = findings.inputs, findings.label_order
    kept = findings.advice.intensity == card.intensity
    if inputs is not None and inputs.outcome == DIFFERS and kept:
        sentences.append("Its intensity is not what the network was taught on.")
    corrected = calibrated_card(findings).labels != card.labels
    if order is not None and order.outcome in _DOUBTS and not corrected:
        sentences.append(_DOUBTS[order.outcome])
    return " ".join(sentences)
