"""Before and after a fine-tuning: as rows of a table, as JSON and as a page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

from GDLACore import __version__
from GDLACore.atomic import replacing
from GDLACore.evaluation.intervals import Mean
from GDLACore.finetuning.cases import ExaminedCase, ReviewedCase
from GDLACore.finetuning.finetuned_card import Origin
from GDLACore.finetuning.held_out import Split
from GDLACore.finetuning.scores import Change, Finding, Verdict
from GDLACore.model.card import ModelCard
from GDLACore.training.recipe import Recipe

REPORT_JSON, REPORT_PAGE = "report.json", "report.html"

HEADER = ("structure", "cases", "before", "after", "change", "95 % interval", "false mL")

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 60em; }
table { border-collapse: collapse; }
th, td { padding: 0.25em 0.8em; text-align: right; border-bottom: 1px solid #ccc; }
th:first-child, td:first-child { text-align: left; }
.refused { color: #a00; font-weight: bold; }
"""


@dataclass(frozen=True)
class Report:
    """What was learnt from, what came of it on what was held out, and whether it was saved.

    ``card`` is the new model's, saved or not. ``before`` and ``after`` are about the same
    structures of the same cases.
    """

    origin: Origin
    card: ModelCard
    split: Split
    examined: tuple[ExaminedCase, ...]
    before: tuple[Finding, ...]
    after: tuple[Finding, ...]
    verdict: Verdict
    recipe: Recipe
    tolerance: float
    saved: bool


def table(report: Report) -> list[tuple[str, ...]]:
    """Return the cells below HEADER: Dice before and after of every structure, the mean last."""
    return [_row(change) for change in report.verdict.changes]


def remarks(report: Report) -> list[str]:
    """Return what a reader must know beside the table, a sentence each."""
    said = [_held_out(report.split)]
    untaught, unjudged = _untaught(report), _unjudged(report)
    if untaught:
        said.append(f"No case taught {', '.join(untaught)}: the model may have forgotten them.")
    if unjudged:
        said.append(
            f"No held-out case shows {', '.join(unjudged)}: of these the Dice says nothing."
        )
    persons = {c.id: c.patient for c in (*report.split.learning, *report.split.held_out)}
    for item in report.examined:
        matching = item.matching
        person = persons[item.case.id]
        if person != item.case.patient:
            said.append(
                f"Case {item.case.id}: taken for one of patient {person}, of whom there is the "
                "same image."
            )
        if matching.by_name:
            said.append(
                f"Case {item.case.id}: {', '.join(matching.by_name)} matched by name, because the "
                "segment carries no terminology."
            )
        if matching.one_sided:
            said.append(
                f"Case {item.case.id}: {', '.join(matching.one_sided)} taken for unknown, because "
                "only one side has a segment."
            )
        if matching.ignored:
            said.append(
                f"Case {item.case.id}: {', '.join(matching.ignored)} left out, being no structure "
                "of the model."
            )
        if item.disputed:
            said.append(
                f"Case {item.case.id}: {item.disputed} voxels are claimed by two structures and "
                "teach neither."
            )
    return said


def write_report(folder: Path, report: Report) -> Path:
    """Write REPORT_JSON and REPORT_PAGE to ``folder``; return the page's path.

    Raises OutputError if that is not possible.
    """
    for name, text in (
        (REPORT_JSON, json.dumps(as_json(report), indent=2) + "\n"),
        (REPORT_PAGE, _page(report)),
    ):
        with replacing(folder / name) as part:
            part.write_text(text, encoding="utf-8")
    return folder / REPORT_PAGE


def as_json(report: Report) -> dict[str, Any]:
    """Return everything that is known about the fine-tuning."""
    start = report.origin.card
    return {
        "gdla": __version__,
        "start": {
            "name": start.name,
            "version": start.version,
            "sha256": report.origin.sha256,
        },
        "result": {"name": report.card.name, "version": report.card.version},
        "saved": report.saved,
        "refusal": report.verdict.refusal,
        "tolerance": report.tolerance,
        "recipe": asdict(report.recipe),
        "held out are other patients": report.split.independent,
        "learnt from": _described(report.split.learning),
        "held out": _described(report.split.held_out),
        "taught by no case": _untaught(report),
        "judged by no case": _unjudged(report),
        "segments": {
            item.case.id: {
                "matched": {
                    name: [segment.name for segment in segments]
                    for name, segments in item.matching.whole.items()
                },
                "by name": list(item.matching.by_name),
                "ignored": list(item.matching.ignored),
                "one side only": list(item.matching.one_sided),
                "disputed voxels": item.disputed,
            }
            for item in report.examined
        },
        "changes": [asdict(change) for change in report.verdict.changes],
        "scores": [
            {
                "case": old.case,
                "patient": old.patient,
                "structure": old.structure,
                "before": asdict(old.scores),
                "after": asdict(new.scores),
            }
            for old, new in zip(report.before, report.after, strict=True)
        ],
    }


def _untaught(report: Report) -> list[str]:
    return report.split.untaught(label.name for label in report.card.labels)


def _unjudged(report: Report) -> list[str]:
    return report.verdict.unjudged(label.name for label in report.card.labels)


def _described(cases: Iterable[ReviewedCase]) -> dict[str, Any]:
    return {case.id: case.description() for case in cases}


def _row(change: Change) -> tuple[str, ...]:
    difference = change.difference
    return (
        change.structure,
        str(difference.values if difference else 0),
        _number(change.start),
        _number(change.result),
        f"{difference.value:+.3f}" if difference else "-",
        _interval(difference),
        f"{change.false_ml[0]:.1f} to {change.false_ml[1]:.1f}" if any(change.false_ml) else "-",
    )


def _number(mean: Mean | None) -> str:
    return f"{mean.value:.3f}" if mean else "-"


def _interval(mean: Mean | None) -> str:
    if mean is None or mean.low is None or mean.high is None:
        return "-"
    return f"{mean.low:+.3f} to {mean.high:+.3f}"


def _held_out(split: Split) -> str:
    if split.independent:
        patients = sorted({case.patient for case in split.held_out})
        return f"Held out, and not learnt from: patient {', '.join(patients)}."
    return (
        "Held out are slices of the same patients that were learnt from. They are no independent "
        "witnesses: of other patients the table says nothing."
    )


def _page(report: Report) -> str:
    start = report.origin.card
    outcome = (
        f'<p class="refused">{escape(report.verdict.refusal)} '
        f"{'Saved all the same.' if report.saved else 'Nothing was saved.'}</p>"
        if report.verdict.refusal
        else "<p>No worse than the start on what was held out: saved.</p>"
    )
    notes = "".join(f"<li>{escape(text)}</li>" for text in remarks(report))
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(report.card.name)}</title><style>{_STYLE}</style></head><body>\n"
        f"<h1>{escape(start.title)}: before and after fine-tuning</h1>\n"
        f"<p>Start: {escape(start.name)} {escape(start.version)}, SHA-256 of its file "
        f"<code>{report.origin.sha256}</code>. Result: {escape(report.card.name)} "
        f"{escape(report.card.version)}, taught on {len(report.split.learning)} case(s).</p>\n"
        f"{outcome}\n<p>Dice, on the grid of the images, of annotated voxels only. The interval is "
        "that of the change, over three patients or more. False mL: volume found where the "
        "reference has none, before and after.</p>\n"
        f"<table><tr>{_cells('th', HEADER)}</tr>\n"
        + "\n".join(f"<tr>{_cells('td', row)}</tr>" for row in table(report))
        + f"</table>\n<ul>{notes}</ul>\n<p>Not a medical device; not for clinical use.</p>\n"
        "</body></html>\n"
    )


def _cells(tag: str, cells: Sequence[str]) -> str:
    return "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells)
