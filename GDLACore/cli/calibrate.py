"""``gdla calibrate``: how a network wants to be fed, from its weights and one volume."""

from __future__ import annotations

import dataclasses
import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from GDLACore import __version__
from GDLACore.atomic import replacing
from GDLACore.calibration.advice import ANOTHER, profile_text
from GDLACore.calibration.findings import Findings, calibrate, calibrated_card
from GDLACore.calibration.input_check import UNKNOWN
from GDLACore.calibration.trial import Attempt, Overflow
from GDLACore.cli.progress import progress_bar
from GDLACore.cli.tables import print_table
from GDLACore.engine import load_engine
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.writing import check_output
from GDLACore.model.catalogue import model_file
from GDLACore.weights.loading import load_weights

# What the statistics of the training inputs are recovered from; the rest need not stay in memory.
_STEM = "stem."


def run(arguments: Namespace) -> None:
    """Calibrate ``arguments.model`` on ``arguments.volume``; print it, and write the card if asked.

    Raises GDLAError before anything is written or replaced.
    """
    if arguments.output is not None:
        check_output(
            arguments.output,
            inputs=[arguments.volume, Path(arguments.model)],
            overwrite=arguments.force,
            suffixes=(".json",),
        )
    with progress_bar(quiet=arguments.quiet) as report:
        report("reading", 0, None)
        volume = read_volume(arguments.volume, series=arguments.series, frame=arguments.frame)
        report("loading", 0, None)
        weights = _stem_weights(arguments)
        engine = load_engine(
            arguments.model,
            device=arguments.device,
            card=arguments.card,
            runtime=arguments.runtime,
            threads=arguments.threads,
        )
        with engine:
            findings = calibrate(
                volume,
                engine,
                weights,
                slices=arguments.sample,
                on_progress=lambda now: report(now.phase, now.done, now.total),
            )
    if arguments.output is not None:
        with replacing(arguments.output) as part:
            part.write_text(calibrated_card(findings).to_json() + "\n", encoding="utf-8")
    if arguments.json:
        print(json.dumps(_summary(arguments, findings), indent=2))
    elif not arguments.quiet:
        _tell(arguments, findings)


def _stem_weights(arguments: Namespace) -> Mapping[str, np.ndarray] | None:
    """Return the weights of the stem; None for ONNX, where batch norms are merged into others."""
    if model_file(arguments.model).suffix.lower() == ".onnx":
        return None
    tensors = load_weights(arguments.model, arguments.card).tensors
    return {name: value for name, value in tensors.items() if name.startswith(_STEM)}


def _tell(arguments: Namespace, findings: Findings) -> None:
    card, advice = findings.card, findings.advice
    rows = [
        [
            attempt.view,
            profile_text(attempt.intensity),
            f"{attempt.certainty:.3f}",
            f"{attempt.answer.foreground:.1%}",
            _mark(attempt, findings),
        ]
        for attempt in findings.trial.attempts
    ]
    rows += [
        [one.view, profile_text(one.intensity), "not finite", "-", _mark(one, findings)]
        for one in findings.trial.overflows
    ]
    count = len(findings.trial.slices)
    print_table(
        ["View", "Intensity", "Certainty", "Foreground", ""],
        rows,
        title=f"{card.name}: {card.title}, on {count} slice{'s' if count != 1 else ''}",
    )
    print(f"View:        {advice.view_choice.sentence}")
    print(f"Intensity:   {advice.intensity_choice.sentence}")
    if findings.inputs is not None:
        print(f"Weights:     {findings.inputs.sentence}{_fed(findings)}")
    else:
        print(
            "Weights:     An ONNX file does not tell what its network was taught on; its "
            "checkpoint does."
        )
    if findings.label_order is not None:
        print(f"Label order: {findings.label_order.sentence}")
    if advice.caution:
        print(f"Caution:     {advice.caution}")
    if arguments.output is not None:
        print(f"Card:        {arguments.output}")


def _mark(attempt: Attempt | Overflow, findings: Findings) -> str:
    card, advice = findings.card, findings.advice
    marks = []
    if (attempt.view, attempt.intensity) == (card.view, card.intensity):
        marks.append("card")
    found = (attempt.view, attempt.intensity) == (advice.view, advice.intensity)
    if found and ANOTHER in (advice.view_choice.outcome, advice.intensity_choice.outcome):
        marks.append("use this")
    if findings.inputs is not None and findings.inputs.rules_out(attempt.intensity):
        marks.append("ruled out")
    return ", ".join(marks)


def _fed(findings: Findings) -> str:
    """Say what the advised profile makes of this volume, to compare with the training images."""
    try:
        fed = findings.trial.attempt(findings.advice.view, findings.advice.intensity)
    except KeyError:  # it gave no finite numbers, and there is no better advice
        return ""
    if findings.inputs.outcome == UNKNOWN:
        return ""
    return (
        f" Of this volume {profile_text(fed.intensity)} makes mean {fed.input_mean:.3g} and "
        f"deviation {fed.input_deviation:.3g}."
    )


def _summary(arguments: Namespace, findings: Findings) -> dict[str, Any]:
    card, advice, order = findings.card, findings.advice, findings.label_order
    view, intensity = advice.view_choice, advice.intensity_choice
    return {
        "version": __version__,
        "volume": str(arguments.volume),
        "output": None if arguments.output is None else str(arguments.output),
        "model": {"name": card.name, "version": card.version, "sha256": card.sha256},
        "slices": list(findings.trial.slices),
        "attempts": [
            {
                "view": attempt.view,
                "intensity": attempt.intensity.to_dict(),
                "certainty": round(attempt.certainty, 4),
                "foreground": round(attempt.answer.foreground, 4),
                "input_mean": round(attempt.input_mean, 4),
                "input_deviation": round(attempt.input_deviation, 4),
            }
            for attempt in findings.trial.attempts
        ],
        "not_finite": [
            {"view": one.view, "intensity": one.intensity.to_dict()}
            for one in findings.trial.overflows
        ],
        "view": {"card": card.view, **dataclasses.asdict(view)},
        "intensity": {
            "card": card.intensity.to_dict(),
            **dataclasses.asdict(intensity),
            "found": advice.intensity.to_dict(),
        },
        "caution": advice.caution,
        "training_inputs": None if findings.inputs is None else _training_inputs(findings),
        "label_order": None
        if order is None
        else {
            "outcome": order.outcome,
            "order": order.order,
            "sentence": order.sentence,
            "scores": dict(order.scores),
            "organs_ml": {one.label.name: round(one.millilitres, 1) for one in order.found},
        },
    }


def _training_inputs(findings: Findings) -> dict[str, Any]:
    statistics, verdict = findings.statistics, findings.inputs
    known = statistics.consistent  # JSON has no NaN
    return {
        "outcome": verdict.outcome,
        "sentence": verdict.sentence,
        "kinds": list(verdict.kinds),
        "means": list(statistics.means) if known else None,
        "deviations": list(statistics.deviations) if known else None,
        "estimates": statistics.estimates,
    }
