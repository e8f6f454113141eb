"""``gdla evaluate``: score a model or a folder of segmentations, and write the report."""

from __future__ import annotations

import json
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from GDLACore.cli.progress import progress_bar
from GDLACore.cli.tables import print_table
from GDLACore.engine import load_engine
from GDLACore.errors import EvaluationError
from GDLACore.evaluation.definitions import MIXED_UNITS
from GDLACore.evaluation.evaluation import evaluate_cases
from GDLACore.evaluation.intervals import FEWEST_PATIENTS, Mean
from GDLACore.evaluation.predictions import predictions_in, predictions_of
from GDLACore.evaluation.report_files import check_report_folder, scores_as_json, write_report
from GDLACore.evaluation.results import PAPER_MEASURES, SPLITS, Evaluation
from GDLACore.evaluation.scores import FALSE, MISSED
from GDLACore.evaluation.surfaces import check_monai
from GDLACore.model.bundle import read_card_file
from GDLACore.model.card import ModelCard
from GDLACore.model.catalogue import find, is_card_file
from GDLACore.training.dataset import Dataset, read_dataset

_COUNTED = (MISSED, FALSE)
_MEASURED = {"hd95": 2, "nsd": 3, "assd": 2}  # and their decimals


def run(arguments: Namespace) -> None:
    """Evaluate as ``arguments`` say; raise GDLAError before anything is written or replaced."""
    check_report_folder(arguments.output, overwrite=arguments.force)
    check_monai()
    with progress_bar(quiet=arguments.quiet) as report, ExitStack() as opened:
        report("reading", 0, None)
        dataset = read_dataset(arguments.dataset)
        split = _split(dataset, arguments)
        tolerances = _tolerances(dataset, arguments)
        if arguments.segmentations is None:
            report("loading", 0, None)
            engine = opened.enter_context(
                load_engine(
                    arguments.model,
                    device=arguments.device,
                    card=arguments.card,
                    runtime=arguments.runtime,
                    threads=arguments.threads,
                )
            )
            card: ModelCard | None = engine.card
            predict = predictions_of(engine, dataset.structures)
            scored = {"model": _model(engine.card), "device": engine.describe()}
        else:
            card = _card(arguments.card)
            predict = predictions_in(arguments.segmentations, dataset.structures, card)
            scored = {"segmentations": str(arguments.segmentations)}
        evaluation = evaluate_cases(
            dataset,
            split,
            predict,
            protocol=arguments.protocol,
            tolerances=tolerances,
            slice_axis="axial" if card is None else card.slice_axis,
            # The published picture data sets are all of colour files, and scored at this size.
            picture_size=card.input_size if card is not None and card.in_channels == 3 else None,
            on_progress=lambda now: report(now.phase, now.done, now.total),
        )
        report("writing", 0, None)
        cases = getattr(dataset, split)
        facts = {
            **scored,
            "dataset": {"file": str(arguments.dataset), "split_sha256": dataset.split_sha256},
            "cases": {"split": split, "count": len(cases)},
        }
        page = write_report(
            arguments.output,
            evaluation,
            facts,
            intensity=None if card is None else card.intensity,
            overwrite=arguments.force,
        )
    if arguments.json:
        told = {"report": str(page), **scores_as_json(evaluation, facts)}
        print(json.dumps(told, indent=2))
    elif not arguments.quiet:
        _tell(evaluation, page)


def _split(dataset: Dataset, arguments: Namespace) -> str:
    if arguments.split is not None:
        return arguments.split
    for split in SPLITS[:2]:
        if getattr(dataset, split):
            return split
    raise EvaluationError(
        f"{arguments.dataset} holds back no cases, neither for test nor for validation.",
        "Name test_patients in it, or score what the model has learnt from (--split training).",
    )


def _tolerances(dataset: Dataset, arguments: Namespace) -> dict[str, float]:
    """Return what was asked for; a structure's own tolerance goes before that of all."""
    everyone = {n: value for name, value in arguments.tolerance if name is None
                for n in dataset.structures}  # fmt: skip
    return everyone | {name: value for name, value in arguments.tolerance if name is not None}


def _card(card: str | None) -> ModelCard | None:
    if card is None:
        return None
    return read_card_file(Path(card)) if is_card_file(card) else find(card).card


def _model(card: ModelCard) -> dict[str, Any]:
    return {"name": card.name, "version": card.version, "sha256": card.sha256}


def _tell(evaluation: Evaluation, page: Path) -> None:
    summaries = evaluation.told()
    header = ["Structure", "Missed", "False", "Dice", "95 %", "HD95", "NSD", "ASSD"]
    rows = [
        [
            one.structure,
            *(str(one.outcomes[outcome]) for outcome in _COUNTED),
            _mean(one.means["dice"], 3),
            _interval(one.means["dice"]),
            *(_mean(one.means[measure], decimals) for measure, decimals in _MEASURED.items()),
        ]
        for one in summaries
    ]
    title = f"Evaluation on the {evaluation.split} cases, lengths in {evaluation.unit}"
    print_table(header, rows, title=title)
    if evaluation.protocol == "paper":
        rows = []
        for one in summaries:
            dice, hd95 = (one.paper_means[measure] for measure in PAPER_MEASURES)
            rows.append([one.structure, _mean(dice, 3), _interval(dice), _mean(hd95, 2)])
        title = "Published protocol, to be set beside published figures only"
        print_table(["Structure", "Dice", "95 %", "HD95 voxels"], rows, title=title)
    if evaluation.mixed_units:
        print(MIXED_UNITS)
    if evaluation.unscored:
        print(f"Not annotated in any case: {', '.join(evaluation.unscored)}.")
    if (patients := evaluation.patients) < FEWEST_PATIENTS:
        print(f"No confidence intervals: they need {FEWEST_PATIENTS} patients, not {patients}.")
    print(f"Report: {page}")
    print("Not for clinical use.")


def _mean(mean: Mean | None, decimals: int) -> str:
    return "-" if mean is None else f"{mean.value:.{decimals}f}"


def _interval(mean: Mean | None) -> str:
    if mean is None or mean.low is None or mean.high is None:
        return "-"
    return f"{mean.low:.2f}-{mean.high:.2f}"
