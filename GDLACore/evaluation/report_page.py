"""The page of an evaluation: one HTML file with its pictures inside, and no scripts."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from GDLACore import __version__
from GDLACore.evaluation.definitions import (
    INTERVALS,
    MIXED_UNITS,
    NATIVE_DEFINITIONS,
    OUTCOME_WORDS,
    PAPER_DEFINITIONS,
    PICTURE_DEFINITIONS,
)
from GDLACore.evaluation.intervals import FEWEST_PATIENTS, Mean
from GDLACore.evaluation.results import MEASURES, PAPER_MEASURES, Evaluation, Picture
from GDLACore.evaluation.scores import OUTCOMES

_DECIMALS = {
    "dice": 3,
    "nsd": 3,
    "hd95": 2,
    "assd": 2,
    "hd95_voxels": 2,
    "volume_difference_ml": 1,
    "volume_difference_percent": 1,
}
_LENGTHS = ("hd95", "assd")

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1b1e24; background: #fff;
       max-width: 1200px; margin: 2rem auto; padding: 0 1.2rem }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; margin: .6rem 0; display: block; overflow-x: auto }
th, td { padding: .28rem .6rem; text-align: right; border-bottom: 1px solid #e2e5ea;
         white-space: nowrap; vertical-align: top }
th { font-weight: 600; color: #5a6270; vertical-align: bottom } .text { text-align: left }
td small { display: block; color: #5a6270 } tr.all td { font-weight: 600 }
tr.missed, tr.false { background: #fff1e3 } .none { color: #a5acb8 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem }
dt { color: #5a6270 } dd { margin: 0; overflow-wrap: anywhere }
figure { display: inline-block; width: 250px; margin: 0 1rem 1rem 0; vertical-align: top }
figure img { max-width: 100%; max-height: 250px; background: #000 }
figcaption { font-size: .88rem } .note { color: #5a6270 }
.prediction { color: #b86a00; font-weight: 600 } .reference { color: #1a7fc4; font-weight: 600 }
"""


def report_page(evaluation: Evaluation, facts: Mapping[str, Any], pictures: Sequence[bytes]) -> str:
    """Return the page; ``pictures`` are the PNGs of ``evaluation.worst``."""
    body = [
        f"<h1>Evaluation on the {evaluation.split} cases</h1>",
        '<p class="note">Not for clinical use.</p>',
        _facts(facts),
        "<h2>Native protocol: true spacing, native grid</h2>",
        _summaries(evaluation),
    ]
    if evaluation.protocol == "paper":
        body += [
            "<h2>Published protocol, to be set beside published figures only</h2>",
            _paper_summaries(evaluation),
        ]
    body += [_worst(evaluation, pictures), "<h2>Every case</h2>", _cases(evaluation)]
    body += ["<h2>What the numbers are</h2>", _definitions(evaluation)]
    body.append(f'<p class="note">Written by gdla {escape(__version__)}.</p>')
    title = f"Evaluation on the {evaluation.split} cases"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{title}</title>\n'
        f"<style>{_STYLE}</style></head><body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _facts(facts: Mapping[str, Any]) -> str:
    """Tell the facts, those within others on one line."""
    items = []
    for name, value in facts.items():
        if isinstance(value, Mapping):
            told = ((key.replace("_", " "), one) for key, one in value.items() if one is not None)
            value = ", ".join(f"{key} {one}" for key, one in told)
        if value is not None:
            items.append(f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>")
    return f"<dl>{''.join(items)}</dl>"


def _summaries(evaluation: Evaluation) -> str:
    unit = evaluation.unit
    header = [
        "Structure",
        *(outcome.capitalize() for outcome in OUTCOMES),
        "Dice",
        f"HD95, {unit}",
        "NSD",
        f"ASSD, {unit}",
        "Volume<br>difference, mL",
        "Volume<br>difference, %",
    ]
    rows = []
    for summary in evaluation.told():
        outcomes = [str(summary.outcomes[outcome]) for outcome in OUTCOMES]
        means = [_mean(summary.means[measure], measure) for measure in MEASURES]
        rows.append([escape(summary.structure), *outcomes, *means])
    return _table(header, rows, _emphasis(rows)) + _notes(evaluation)


def _emphasis(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the classes of a summary's rows: the last tells of all structures."""
    return [*("" for _ in rows[1:]), "all" if len(rows) > 1 else ""]


def _paper_summaries(evaluation: Evaluation) -> str:
    rows = [
        [
            escape(summary.structure),
            *(_mean(summary.paper_means[measure], measure) for measure in PAPER_MEASURES),
        ]
        for summary in evaluation.told()
    ]
    return _table(["Structure", "Dice, ignore-empty", "HD95, voxels"], rows, _emphasis(rows))


def _notes(evaluation: Evaluation) -> str:
    patients = evaluation.patients
    if patients >= FEWEST_PATIENTS:
        notes = [f"{patients} patients. Below each mean is its 95 % interval."]
    else:
        notes = [
            f"There are no confidence intervals: they need {FEWEST_PATIENTS} patients to tell how "
            f"patients differ, and there {'is 1' if patients == 1 else f'are {patients}'}."
        ]
    if evaluation.mixed_units:
        notes.append(MIXED_UNITS)
    if evaluation.unscored:
        notes.append(f"Not annotated in any case: {', '.join(evaluation.unscored)}.")
    return f'<p class="note">{escape(" ".join(notes))}</p>'


def _worst(evaluation: Evaluation, pictures: Sequence[bytes]) -> str:
    if not pictures:
        return "<h2>Worst cases</h2><p>Every structure was found without a wrong voxel.</p>"
    figures = "".join(
        _figure(one, png) for one, png in zip(evaluation.worst, pictures, strict=True)
    )
    return (
        "<h2>Worst cases</h2><p>Of the images with the lowest Dice, the slice with most wrong "
        'voxels: <span class="prediction">prediction</span> and '
        f'<span class="reference">reference</span>.</p>{figures}'
    )


def _figure(picture: Picture, png: bytes) -> str:
    scores = picture.scores
    distance = "" if scores.hd95 is None else f", HD95 {scores.hd95:.1f} {picture.unit}"
    name = f"{picture.structure}, {picture.case}"
    caption = (
        f"<b>{escape(picture.structure)}</b>, {escape(picture.case)}, slice {picture.index}<br>"
        f"{OUTCOME_WORDS[scores.outcome]}: Dice {scores.dice:.3f}{distance}; {picture.wrong} "
        f"wrong voxels here"
    )
    data = base64.b64encode(png).decode("ascii")
    return (
        f'<figure><img alt="{escape(name)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _cases(evaluation: Evaluation) -> str:
    header = ["Case", "Patient", "Structure", "Outcome", "Dice", "HD95", "NSD", "ASSD"]
    header += ["Volume<br>difference, mL", "Volume<br>difference, %"]
    if evaluation.protocol == "paper":
        header += ["Published<br>Dice", "Published<br>HD95, voxels"]
    rows = []
    for row in evaluation.rows:
        words = [escape(word) for word in (row.case, row.patient, row.structure)]
        values = [_value(getattr(row.scores, m), m, row.unit) for m in MEASURES]
        if row.paper is not None:
            values += [_value(getattr(row.paper, m), m) for m in PAPER_MEASURES]
        rows.append([*words, row.scores.outcome, *values])
    return _table(header, rows, [row.scores.outcome for row in evaluation.rows], text=4)


def _definitions(evaluation: Evaluation) -> str:
    tolerances = ", ".join(f"{name} {t:g}" for name, t in evaluation.tolerances.items())
    given = dict(NATIVE_DEFINITIONS)
    given["Tolerance"] = f"of NSD, in {evaluation.unit}: {tolerances}."
    given["Interval"] = INTERVALS
    if evaluation.protocol == "paper":
        given |= PAPER_DEFINITIONS
        if (size := evaluation.picture_size) is not None:
            given |= {name: text.format(size=size) for name, text in PICTURE_DEFINITIONS.items()}
    items = (f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in given.items())
    return f"<dl>{''.join(items)}</dl>"


def _mean(mean: Mean | None, measure: str) -> str:
    if mean is None:
        return _value(None, measure)
    text = _value(mean.value, measure)
    if mean.low is not None and mean.high is not None:
        text += f"<small>{_value(mean.low, measure)} to {_value(mean.high, measure)}</small>"
    return text


def _value(value: float | None, measure: str, unit: str = "") -> str:
    """Return ``value`` in words, with its ``unit`` if it is a length."""
    if value is None:
        return '<span class="none">not defined</span>'
    return f"{value:.{_DECIMALS[measure]}f}" + (f" {unit}" if measure in _LENGTHS else "")


def _table(
    header: Sequence[str], rows: Sequence[Sequence[str]], classes: Sequence[str], *, text: int = 1
) -> str:
    """Return a table of cells that are HTML already; its first ``text`` columns are words."""

    def line(cells: Sequence[str], tag: str, kind: str = "") -> str:
        words = [' class="text"' if n < text else "" for n in range(len(cells))]
        done = "".join(
            f"<{tag}{word}>{cell}</{tag}>" for word, cell in zip(words, cells, strict=True)
        )
        return f'<tr class="{kind}">{done}</tr>' if kind else f"<tr>{done}</tr>"

    lines = [line(cells, "td", kind) for cells, kind in zip(rows, classes, strict=True)]
    return f"<table>{line(header, 'th')}{''.join(lines)}</table>"
