"""``gdla calibrate``: how a network wants to be fed, from its weights and one volume."""

from __future__ import annotations

import dataclasses
import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np

from GDLACore import __version__
from GDLACore.atomic import replacing
from GDLACore.calibration.conclusion import conclusion
from GDLACore.calibration.findings import Findings, calibrate, calibrated_card
from GDLACore.cli.calibration_report import next_command, print_report
from GDLACore.cli.progress import progress_bar
from GDLACore.engine.loading import engine_for, load_engine
from GDLACore.engine.protocol import Engine
from GDLACore.errors import VolumeError
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.writing import check_output
from GDLACore.model.catalogue import is_card_file, model_file
from GDLACore.weights.loading import load_weights

# What the statistics of the training inputs are recovered from; the rest need not stay in memory.
_STEM = "stem."

_NOTHING_AHEAD = "no view and no intensity profile is clearly ahead"
_ANOTHER_IMAGE = "Choose another image that shows clearly what the model segments."


def run(arguments: Namespace) -> None:
    """Calibrate ``arguments.model`` on ``arguments.volume``; print it, and write the card if asked.

    Raises GDLAError before anything is written or replaced.
    """
    if arguments.output is not None:
        check_output(
            arguments.output,
            inputs=[arguments.volume, Path(arguments.model), *_own_card(arguments)],
            overwrite=arguments.force,
            suffixes=(".json",),
        )
    with progress_bar(quiet=arguments.quiet) as report:
        report("reading", 0, None)
        volume = read_volume(arguments.volume, series=arguments.series, frame=arguments.frame)
        report("loading", 0, None)
        engine, weights = _loaded(arguments)
        with engine:
            findings = calibrate(
                volume,
                engine,
                weights,
                slices=arguments.sample,
                on_progress=lambda now: report(now.phase, now.done, now.total),
            )
    if arguments.output is not None:
        _check_clear(arguments, findings)
        with replacing(arguments.output) as part:
            part.write_text(calibrated_card(findings).to_json() + "\n", encoding="utf-8")
    if arguments.json:
        print(json.dumps(_summary(arguments, findings), indent=2))
    elif not arguments.quiet:
        print_report(arguments, findings)


def _own_card(arguments: Namespace) -> list[Path]:
    """Return the card file that is used, empty for a name of the catalogue."""
    card = arguments.card
    return [Path(card)] if card is not None and is_card_file(card) else []


def _check_clear(arguments: Namespace, findings: Findings) -> None:
    if not findings.clear:
        reason = findings.obstacle.reason if findings.obstacle else _NOTHING_AHEAD
        remedy = findings.obstacle.remedy if findings.obstacle else _ANOTHER_IMAGE
        raise VolumeError(
            f"{arguments.volume} does not tell how the model is to be fed ({reason}), so no card "
            f"was written.",
            remedy,
        )


def _loaded(arguments: Namespace) -> tuple[Engine, dict[str, np.ndarray] | None]:
    """Return the engine and the weights of the stem, of a file that is read once.

    The weights are None for ONNX, where batch norms are merged into others.
    """
    choice = {
        "device": arguments.device,
        "runtime": arguments.runtime,
        "threads": arguments.threads,
    }
    if model_file(arguments.model).suffix.lower() == ".onnx":
        return load_engine(arguments.model, card=arguments.card, **choice), None
    model = load_weights(arguments.model, arguments.card)
    stem = {name: v.copy() for name, v in model.tensors.items() if name.startswith(_STEM)}
    return engine_for(model, **choice), stem


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
        "conclusion": conclusion(findings),
        "next": next_command(arguments, findings),
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
