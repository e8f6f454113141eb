"""What ``gdla calibrate`` prints: every attempt, what follows from them, and what to type next."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import textwrap
from argparse import Namespace
from pathlib import Path

from GDLACore.calibration.advice import ANOTHER, profile_text
from GDLACore.calibration.conclusion import changes, conclusion
from GDLACore.calibration.findings import Findings
from GDLACore.calibration.trial import SLICES, Attempt, Overflow
from GDLACore.cli.tables import print_table
from GDLACore.model.catalogue import model_file
from GDLACore.weights.card_choice import card_file

_INDENT = 13
_NARROW, _WIDE = 60, 110  # columns between which text is broken into lines

_PROFILES = {
    "ct_window": "ct_window, a window in Hounsfield units",
    "zscore_volume": "zscore_volume, to mean 0 and standard deviation 1",
    "minmax_volume": "minmax_volume, from the darkest to the brightest of the volume",
    "minmax_image": "minmax_image, from the darkest to the brightest of each slice",
    "none": "none, as they are stored",
}


def print_report(arguments: Namespace, findings: Findings) -> None:
    """Print ``findings`` for people."""
    card, advice, trial = findings.card, findings.advice, findings.trial
    rows = [
        [
            attempt.view,
            profile_text(attempt.intensity),
            f"{attempt.certainty:.3f}",
            f"{attempt.answer.foreground:.1%}",
            _mark(attempt, findings),
        ]
        for attempt in trial.attempts
    ]
    rows += [
        [one.view, profile_text(one.intensity), "not finite", "-", _mark(one, findings)]
        for one in trial.overflows
    ]
    count = len(trial.slices)
    print_table(
        ["View", "Intensity", "Certainty", "Area", ""],
        rows,
        title=f"{card.name}: {card.title}, tried on {count} slice{'s' if count != 1 else ''}",
    )
    _print_paragraph("", _legend(findings))
    print()
    _print_paragraph("View:", advice.view_choice.sentence)
    _print_paragraph("Intensity:", advice.intensity_choice.sentence)
    _print_paragraph("Weights:", _weights(findings))
    if findings.label_order is not None:
        _print_paragraph("Label order:", findings.label_order.sentence)
    if advice.caution:
        _print_paragraph("Caution:", advice.caution)
    _print_paragraph("Result:", conclusion(findings))
    # Not broken into lines: they are to be copied.
    if arguments.output is not None:
        print(f"{'Card:':<{_INDENT}}{arguments.output}")
    print(f"{'Next:':<{_INDENT}}{next_command(arguments, findings)}")


def next_command(arguments: Namespace, findings: Findings) -> str:
    """Return the command that uses what was found: write the card if it changes, else segment."""
    model, image = str(arguments.model), str(arguments.volume)
    name = Path(arguments.volume).resolve().name.removesuffix(".gz")
    name = name if arguments.volume.is_dir() else Path(name).stem
    options = [
        *_given("--series", arguments.series),
        *_given("--frame", arguments.frame),
        *_given("--device", None if arguments.device == "auto" else arguments.device),
        *_given("--runtime", None if arguments.runtime == "auto" else arguments.runtime),
        *_given("--threads", arguments.threads),
    ]
    if arguments.output is None and changes(findings):
        new = f"{Path(model).stem}.calibrated.json"
        card = _given("--card", arguments.card)
        sample = _given("--sample", None if arguments.sample == SLICES else arguments.sample)
        return _typed(["gdla", "calibrate", model, image, *card, *options, *sample, "-o", new])
    card = _given("--card", arguments.output or arguments.card)
    if arguments.output is not None and _is_found(arguments.output, model_file(model)):
        card = []
    return _typed(
        ["gdla", "segment", image, "--model", model, *card, *options, "-o", f"{name}.seg.nrrd"]
    )


def _is_found(card: Path, model: Path) -> bool:
    """Return whether ``card`` is where the card of a checkpoint is looked for."""
    embedded = model.suffix.lower() in (".onnx", ".safetensors")
    return not embedded and card.resolve() == card_file(model).resolve()


def _given(option: str, value: object) -> list[str]:
    return [] if value is None else [option, str(value)]


def _typed(words: list[str]) -> str:
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def _legend(findings: Findings) -> str:
    ways = [*findings.trial.attempts, *findings.trial.overflows]
    kinds = dict.fromkeys(way.intensity.kind for way in ways)
    profiles = "; ".join(text for kind, text in _PROFILES.items() if kind in kinds)
    return (
        f"View is how slices are turned before the network sees them (identity: not at all). "
        f"Intensity is how their values are scaled ({profiles}). Certainty says how firmly the "
        f"network tells structures apart: 1 without any doubt, 0 where it says the same of every "
        f"pixel. It shows which input suits the network, not how right a result is. Area is the "
        f"share of the pixels that some structure gets."
    )


def _mark(way: Attempt | Overflow, findings: Findings) -> str:
    card, advice = findings.card, findings.advice
    marks = []
    if (way.view, way.intensity) == (card.view, card.intensity):
        marks.append("card")
    found = (way.view, way.intensity) == (advice.view, advice.intensity)
    if found and ANOTHER in (advice.view_choice.outcome, advice.intensity_choice.outcome):
        marks.append("use this")
    if findings.inputs is not None and findings.inputs.rules_out(way.intensity):
        marks.append("ruled out")
    return ", ".join(marks)


def _weights(findings: Findings) -> str:
    """Say what the training images were like, and what the advised profile makes of this volume."""
    inputs, advice = findings.inputs, findings.advice
    if inputs is None:
        return "An ONNX file does not tell what its network was taught on; its checkpoint does."
    text = inputs.sentence
    ways = [*findings.trial.attempts, *findings.trial.overflows]
    kinds = {way.intensity.kind for way in ways if inputs.rules_out(way.intensity)}
    if kinds:
        text += f" This rules out {' and '.join(sorted(kinds))}."
    for fed in findings.trial.attempts:
        if (fed.view, fed.intensity) == (advice.view, advice.intensity) and inputs.kinds:
            text += (
                f" Of this volume {profile_text(fed.intensity)} makes mean {fed.input_mean:.3g} "
                f"and standard deviation {fed.input_deviation:.3g}."
            )
    return text


def _print_paragraph(name: str, text: str) -> None:
    """Print ``text`` beside ``name``, or across the whole width if that is empty."""
    width = min(max(shutil.get_terminal_size().columns, _NARROW), _WIDE)
    indent = " " * _INDENT if name else ""
    lines = textwrap.wrap(text, width - len(indent), break_long_words=False, break_on_hyphens=False)
    first = f"{name:<{len(indent)}}"
    print("\n".join([first + lines[0], *(indent + line for line in lines[1:])]))
