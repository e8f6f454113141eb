"""How well the final model of each run does on the test cases; what is scored stays scored."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from GDLACore.atomic import replacing
from GDLACore.comparison.runs import Run
from GDLACore.engine.loading import load_engine
from GDLACore.errors import TrainingError
from GDLACore.evaluation.evaluation import evaluate_cases
from GDLACore.evaluation.results import MILLIMETRES
from GDLACore.evaluation.scores import FOUND, MISSED
from GDLACore.imaging.volume import Volume
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import segment_volume
from GDLACore.training.cases import Case
from GDLACore.training.dataset import Dataset
from GDLACore.training.file_hash import sha256

Row = dict[str, Any]

_FILE = "scores.json"


def stored_scores(run: Run, tests: Sequence[Dataset]) -> list[Row] | None:
    """Return the scores of ``run``, None if they are missing or of another model or other tests."""
    try:
        scores = json.loads((run.folder / _FILE).read_text(encoding="utf-8"))
        same = scores["of"] == _of(run, tests)
    except (OSError, ValueError, KeyError):
        return None
    return scores["rows"] if same else None


def score_run(run: Run, tests: Sequence[Dataset], device: str) -> list[Row]:
    """Segment the test cases with the final model of ``run``; store and return their scores.

    A row per case and structure that the reference holds: test (the number of its dataset in
    ``tests``, where ids are its own), case, patient, structure, dice, nsd (2 mm) and hd95 (mm, None
    where the structure was not found). Both are None where the spacing is not known.
    """
    with load_engine(run.model, device=device, runtime="torch") as engine:

        def segment(_case: Case, volume: Volume, options: SegmentOptions) -> np.ndarray:
            return segment_volume(volume, engine, options)

        evaluations = [
            evaluate_cases(test, "test", segment, slice_axis=engine.card.slice_axis)
            for test in tests
        ]
    rows = [
        {
            "test": number,
            "case": row.case,
            "patient": row.patient,
            "structure": row.structure,
            "dice": row.scores.dice,
            "nsd": row.scores.nsd if row.unit == MILLIMETRES else None,
            "hd95": row.scores.hd95 if row.unit == MILLIMETRES else None,
        }
        for number, evaluation in enumerate(evaluations)
        for row in evaluation.rows
        if row.scores.outcome in (FOUND, MISSED)
    ]
    if not rows:
        raise TrainingError(
            "No test case holds any of the structures, so there is nothing to compare.",
            "Name patients in `test_patients` whose label maps hold them.",
        )
    scores = {"of": _of(run, tests), "rows": rows}
    with replacing(run.folder / _FILE) as part:
        part.write_text(json.dumps(scores, indent=2), encoding="utf-8")
    return rows


def check_tests(tests: Sequence[Dataset], paths: Sequence[Path], structures: Sequence[str]) -> None:
    """Raise TrainingError unless every dataset has test cases and the card's ``structures``."""
    for test, path in zip(tests, paths, strict=True):
        if not test.test:
            raise TrainingError(
                f"{path} has no test cases.", "Name who is held out in its `test_patients`."
            )
        if test.structures != tuple(structures):
            raise TrainingError(
                f"{path} lists the structures {', '.join(test.structures)}, "
                f"and the models tell apart {', '.join(structures)}.",
                "List the same names in the same order.",
            )


def _of(run: Run, tests: Sequence[Dataset]) -> dict[str, Any]:
    """Return what decides the scores."""
    return {"model": sha256(run.model), "tests": [test.split_sha256 for test in tests]}
