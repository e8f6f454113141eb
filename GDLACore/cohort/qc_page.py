"""The page to check a cohort by: every study with a picture, the most doubtful first."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from GDLACore import __version__
from GDLACore.atomic import replacing
from GDLACore.cohort.files import picture_of
from GDLACore.cohort.record import StudyRecord
from GDLACore.model.card import ModelCard

# More inside one file would make it too large for browsers and mail; the others are links.
_MOST_PICTURES = 500

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1b1e24; background: #fff;
       max-width: 1200px; margin: 2rem auto; padding: 0 1.2rem }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
.note, dt, small { color: #5a6270 } .failed { background: #fff1e3; padding: .5rem .8rem }
article { border-top: 1px solid #e2e5ea; padding: .7rem 0 } h3 { font-size: 1rem; margin: 0 }
h3, p { overflow-wrap: anywhere } p { margin: .2rem 0 } img { max-width: 100%; background: #000 }
.swatch { display: inline-block; width: .7em; height: .7em; border-radius: 2px }
.amount { display: inline-block; margin-right: 1rem; white-space: nowrap }
"""


def write_page(
    path: Path,
    records: Sequence[StudyRecord],
    card: ModelCard,
    gone: Sequence[StudyRecord] = (),
) -> None:
    """Write the page of ``records`` to ``path``, beside which their results lie.

    It has no scripts and loads nothing: pictures are inside, those of the least doubtful studies
    beyond the first 500 are links. Failed studies come first, and ``gone``, which were not
    found this time, last. Raises OutputError if it cannot be written.
    """
    failed = [record for record in records if not record.done]
    done = sorted(
        (record for record in records if record.done),
        key=lambda record: (any(record.volumes_ml.values()), -(record.doubt or 0.0)),
    )
    # Names of files need not be text: what is none is written with backslashes.
    with (
        replacing(path) as part,
        part.open("w", encoding="utf-8", errors="backslashreplace") as file,
    ):
        file.write(_head(card, len(done), len(failed)))
        if failed:
            file.write("<h2>Failed</h2>\n")
        for record in failed:
            file.write(_failure(record))
        if done:
            file.write("<h2>Segmented, the most doubtful first</h2>\n")
        for number, record in enumerate(done):
            file.write(_study(record, card, path.parent, inside=number < _MOST_PICTURES))
        if gone:
            file.write("<h2>Of earlier runs, and not found this time</h2>\n")
        for number, record in enumerate(gone, start=len(done)):
            inside = number < _MOST_PICTURES
            file.write(
                _study(record, card, path.parent, inside=inside)
                if record.done
                else _failure(record)
            )
        file.write(f'<p class="note">Written by gdla {escape(__version__)}.</p></body></html>\n')


def _head(card: ModelCard, done: int, failed: int) -> str:
    counts = f"{done} segmented, {failed} failed."
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n<title>Studies to check</title>\n'
        f"<style>{_STYLE}</style></head><body>\n<h1>Studies to check</h1>\n"
        f'<p class="note">{escape(card.title)} ({escape(card.name)} {escape(card.version)}). '
        f"{counts} Not for clinical use.</p>\n"
        '<p class="note">Doubt is the share of what was found that is probably wrong, as the '
        "network's own uncertainty has it, from 0 to 1. Studies in which nothing was found come "
        "first.</p>\n"
    )


def _failure(record: StudyRecord) -> str:
    return (
        f'<article class="failed"><h3>{escape(record.name)}</h3>'
        f"<p>{escape(record.error or 'No reason is known.')}</p>{_warnings(record)}</article>\n"
    )


def _study(record: StudyRecord, card: ModelCard, folder: Path, *, inside: bool) -> str:
    colors = {label.name: label.color for label in card.labels}
    amounts = "".join(
        f'<span class="amount">{_swatch(colors.get(name))} {escape(name)} {_amount(ml)} mL</span>'
        for name, ml in record.volumes_ml.items()
        if ml > 0
    )
    doubt = "" if record.doubt is None else f" <small>doubt {record.doubt:.3f}</small>"
    return (
        f"<article><h3>{escape(record.name)}{doubt}</h3>"
        f"<p>{amounts or 'Nothing was found.'}</p>{_warnings(record)}"
        f"{_picture(record.name, folder, inside=inside)}</article>\n"
    )


def _amount(ml: float) -> str:
    return f"{ml:.1f}" if ml >= 0.05 else "&lt; 0.1"


def _warnings(record: StudyRecord) -> str:
    return "".join(f'<p class="note">{escape(warning)}</p>' for warning in record.warnings)


def _swatch(color: tuple[int, int, int] | None) -> str:
    if color is None:
        return ""
    return f'<span class="swatch" style="background: rgb{color}"></span>'


def _picture(name: str, folder: Path, *, inside: bool) -> str:
    relative = picture_of(name)
    if not inside:
        return f'<p><a href="{quote(os.fsencode(relative))}">Picture</a></p>'
    try:
        data = base64.b64encode((folder / relative).read_bytes()).decode("ascii")
    except OSError:
        return '<p class="note">There is no picture.</p>'
    return f'<img alt="{escape(name)}" src="data:image/jpeg;base64,{data}">'
