"""``gdla compare``: from a comparison file to tables, resumable at any time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from GDLACore.atomic import replacing
from GDLACore.comparison.costs import measure_costs
from GDLACore.comparison.held_out import check_held_out
from GDLACore.comparison.report import results_of, tables
from GDLACore.comparison.runs import Run, check_unchanged, finish_training, runs_of
from GDLACore.comparison.scoring import check_tests, score_run, stored_scores
from GDLACore.comparison.settings import CostSettings, read_comparison
from GDLACore.comparison.statistics import mean_over_structures
from GDLACore.training.dataset import read_dataset
from GDLACore.training.recipe import read_plan

Say = Callable[[str], None]


def compare(path: Path, folder: Path, *, device: str = "auto", say: Say = print) -> Path:
    """Train, score and measure what the comparison file ``path`` lists; return the tables' file.

    ``folder`` receives ``runs/VARIANT-SEED`` (a training each, as ``gdla train`` leaves it, with
    ``plan.json`` and ``scores.json``), ``costs.json``, ``results.json`` and ``table.md``. What is
    there already is not done again: called again, a comparison that was stopped anywhere goes on.
    ``device`` is "auto", "cpu" or "cuda", for training and scoring; costs are those of the CPU.

    Raises TrainingError, ModelFileError, VolumeError or EvaluationError for files that cannot be
    used, all of which are looked at first, for test cases of other files that show a patient, or
    have an image, of the trainings, and for settings or data that changed since a training was
    started; OutputError if the folder cannot be written.
    """
    comparison = read_comparison(path)
    data = read_plan(comparison.plan).dataset
    dataset = read_dataset(data).cached_in(folder / "cache")  # one for all trainings
    paths = comparison.tests or (data,)
    tests = [read_dataset(test) for test in paths]
    runs = runs_of(comparison, folder)
    check_held_out(dataset, data, tests, paths)
    for run in runs:
        check_unchanged(run, dataset)
        check_tests(tests, paths, [label.name for label in run.plan.card.labels])
    scores = {}
    for number, run in enumerate(runs, start=1):
        found = stored_scores(run, tests)
        if found is None:
            say(f"{run.name}: run {number} of {len(runs)}")
            start = time.monotonic()
            if not run.model.exists():
                finish_training(run, dataset, device)
            found = score_run(run, tests, device)
            minutes = (time.monotonic() - start) / 60
            say(f"{run.name}: Dice {mean_over_structures(found, 'dice'):.3f}, {minutes:.1f} min")
        scores[run.variant, run.seed] = found
    costs = [] if comparison.costs is None else _costs(comparison.costs, runs, folder, say)
    names = [variant.name for variant in comparison.variants]
    results = results_of(names, comparison.seeds, scores, costs)
    _write(folder / "results.json", json.dumps(results, indent=2) + "\n")
    return _write(folder / "table.md", tables(results))


def _costs(
    settings: CostSettings, runs: Sequence[Run], folder: Path, say: Say
) -> list[dict[str, Any]]:
    """Measure what is not in ``costs.json`` yet."""
    cards = list({run.plan.card.architecture.mixer: run.plan.card for run in runs}.values())
    path = folder / "costs.json"
    mixers = [card.architecture.mixer for card in cards]
    wanted = {"mixers": mixers, "classes": cards[0].classes, **asdict(settings)}
    measured = _stored_costs(path, json.loads(json.dumps(wanted)))
    for encoder in settings.encoders:
        for size in settings.sizes:
            if not any((one["encoder"], one["size"]) == (encoder, size) for one in measured):
                say(f"costs of encoder {encoder} at {size} x {size}")
                measured += measure_costs(cards, encoder, size, settings)
                _write(path, json.dumps({"of": wanted, "costs": measured}, indent=2) + "\n")
    return measured


def _stored_costs(path: Path, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return stored["costs"] if stored["of"] == wanted else []
    except (OSError, ValueError, KeyError):
        return []


def _write(path: Path, text: str) -> Path:
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
    return path
