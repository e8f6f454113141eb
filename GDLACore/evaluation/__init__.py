"""Scores of segmentations against references: exact, in mm, with intervals over patients.

    from GDLACore.evaluation import evaluate_cases, predictions_of

    dataset = read_dataset(path)                        # GDLACore.training.dataset
    with load_engine("final.safetensors") as engine:    # GDLACore.engine
        evaluation = evaluate_cases(
            dataset,
            "validation",                               # or "test", "training"
            predictions_of(engine, dataset.structures),
            slice_axis=engine.card.slice_axis,
        )
    evaluation.overall().means["dice"]                  # Mean(value, low, high, method, ...) | None
    for row in evaluation.rows:
        row.case, row.patient, row.structure, row.scores.dice, row.scores.hd95
    for summary in evaluation.summary():
        summary.structure, summary.means["hd95"], summary.outcomes["missed"]

``mean_of`` gives the same kind of mean and interval for any values of one's own, such as paired
differences. What every measure is exactly: ``scores``, and docs/evaluation.md.
"""

from GDLACore.evaluation.evaluation import Predict, evaluate_cases
from GDLACore.evaluation.intervals import Mean, Measurement, mean_of
from GDLACore.evaluation.predictions import predictions_in, predictions_of
from GDLACore.evaluation.results import (
    MEASURES,
    PAPER_MEASURES,
    PROTOCOLS,
    SPLITS,
    Evaluation,
    Row,
    Summary,
)
from GDLACore.evaluation.scores import PaperScores, Scores, paper_score, score

__all__ = [
    "MEASURES",
    "PAPER_MEASURES",
    "PROTOCOLS",
    "SPLITS",
    "Evaluation",
    "Mean",
    "Measurement",
    "PaperScores",
    "Predict",
    "Row",
    "Scores",
    "Summary",
    "evaluate_cases",
    "mean_of",
    "paper_score",
    "predictions_in",
    "predictions_of",
    "score",
]
