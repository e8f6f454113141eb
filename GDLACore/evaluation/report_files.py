"""The folder an evaluation is written to: scores.csv, scores.json, report.html, pictures."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from GDLACore import __version__
from GDLACore.atomic import unwritable
from GDLACore.errors import OutputError
from GDLACore.evaluation.intervals import LEVEL, RESAMPLES, SEED
from GDLACore.evaluation.report_page import report_page
from GDLACore.evaluation.report_pictures import picture_png
from GDLACore.evaluation.results import Evaluation, Row, Summary
from GDLACore.imaging.overlay import check_pillow
from GDLACore.model.card import IntensityProfile

SCORES_CSV, SCORES_JSON, REPORT = "scores.csv", "scores.json", "report.html"
PICTURE = "worst-{number:02d}.png"

_PACKAGES = ("numpy", "scipy", "SimpleITK", "monai", "torch", "onnxruntime")


def check_report_folder(folder: Path, *, overwrite: bool) -> None:
    """Raise OutputError if a report could not be written to ``folder`` later; costs nothing.

    Only an empty or new folder is written to, or with ``overwrite`` one that holds anything: of
    that, the files of an earlier report are replaced and all others stay.
    """
    check_pillow()
    try:
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder} is a file.", "Give the name of a folder.")
        if folder.is_dir() and not overwrite and any(folder.iterdir()):
            raise OutputError(
                f"The folder {folder} is not empty.",
                "Choose another one, or allow to replace the report in it (--force).",
            )
        if not folder.parent.is_dir():
            raise OutputError(f"The folder {folder.parent} does not exist.", "Create it first.")
        place = folder if folder.is_dir() else folder.parent
        tempfile.TemporaryFile(dir=place).close()
    except OSError as error:
        raise unwritable(folder, error) from error


def write_report(
    folder: Path,
    evaluation: Evaluation,
    facts: Mapping[str, Any],
    *,
    intensity: IntensityProfile | None = None,
    overwrite: bool = False,
) -> Path:
    """Write all files of a report to ``folder``, whole or not at all, and return the page.

    ``facts``: what was evaluated (model, dataset, ...), as JSON; it is told on the page and stands
    in scores.json. ``intensity`` says how the images are shown, without it from the 1st to the 99th
    percentile. Raises OutputError as ``check_report_folder``, or if the disk refuses.
    """
    check_report_folder(folder, overwrite=overwrite)
    pictures = [picture_png(one, intensity) for one in evaluation.worst]
    files = {PICTURE.format(number=n): data for n, data in enumerate(pictures, start=1)}
    scores = scores_as_json(evaluation, facts)
    files[SCORES_CSV] = _csv(evaluation).encode("utf-8")
    files[SCORES_JSON] = (json.dumps(scores, indent=2) + "\n").encode("utf-8")
    files[REPORT] = report_page(evaluation, facts, pictures).encode("utf-8")
    try:
        _write(folder, files)
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder / REPORT


def scores_as_json(evaluation: Evaluation, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything a report holds but its pictures."""
    return {
        "gdla": __version__,
        **facts,
        "split": evaluation.split,
        "protocol": evaluation.protocol,
        "picture_size": evaluation.picture_size,
        "tolerances": dict(evaluation.tolerances),
        "intervals": {"level": LEVEL, "resamples": RESAMPLES, "seed": SEED, "drawn": "patients"},
        "summary": [_summary(one) for one in (evaluation.overall(), *evaluation.summary())],
        "scores": [asdict(row) for row in evaluation.rows],
        "versions": {"python": platform.python_version(), **_versions()},
    }


def _summary(summary: Summary) -> dict[str, Any]:
    def means(of: Mapping[str, Any]) -> dict[str, Any]:
        return {name: None if mean is None else asdict(mean) for name, mean in of.items()}

    found = {
        "structure": summary.structure,
        "outcomes": dict(summary.outcomes),
        "means": means(summary.means),
    }
    return found | ({"paper_means": means(summary.paper_means)} if summary.paper_means else {})


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _csv(evaluation: Evaluation) -> str:
    lines = [_line(row) for row in evaluation.rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]) if lines else ["case"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _line(row: Row) -> dict[str, object]:
    """Return a row of the table; what is not defined stays empty."""
    paper = {} if row.paper is None else asdict(row.paper)
    return {
        "case": row.case,
        "patient": row.patient,
        "structure": row.structure,
        "unit": row.unit,
        **asdict(row.scores),
        **{f"paper_{name}": value for name, value in paper.items()},
    }


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write ``files`` beside ``folder`` first, so that a full disk leaves nothing half-written."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".", suffix=".part") as part:
        for name, data in files.items():
            (Path(part) / name).write_bytes(data)
        folder.mkdir(exist_ok=True)
        for old in folder.glob(PICTURE.replace("{number:02d}", "[0-9]*")):
            old.unlink()
        for name in files:
            os.replace(Path(part) / name, folder / name)
