"""A result is refused if it is worse, and what nobody taught or judged is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from corrected_cases import CARD, add_ball_case, patient

pytest.importorskip("torch")  # a case is a case of a training

from GDLACore.evaluation.scores import score
from GDLACore.finetuning.cases import examine
from GDLACore.finetuning.finetuned_card import Origin, finetuned_card
from GDLACore.finetuning.held_out import hold_out_named
from GDLACore.finetuning.report import Report, as_json, remarks
from GDLACore.finetuning.scores import Finding, judged
from GDLACore.training.recipe import Recipe
from GDLACore.training_set import read_training_set


def dice(value: float, structure: str = "liver", who: str = "a") -> Finding:
    """Return a finding of about this Dice."""
    reference = np.arange(1000).reshape(10, 10, 10) < 500
    prediction = np.arange(1000).reshape(10, 10, 10) < 500
    prediction.ravel()[: round(500 * (1 - value))] = False
    prediction.ravel()[500 : 500 + round(500 * (1 - value))] = True
    return Finding(who, who, structure, score(prediction, reference, (1, 1, 1), voxel_ml=1.0))


def absent(found_ml: int, structure: str = "aorta") -> Finding:
    """Return a finding where the reference has nothing."""
    reference = np.zeros((10, 10, 10), bool)
    prediction = np.arange(1000).reshape(10, 10, 10) < found_ml
    return Finding("a", "a", structure, score(prediction, reference, (1, 1, 1), voxel_ml=1.0))


def test_a_gain_is_accepted_and_any_loss_of_the_mean_refused() -> None:
    assert judged([dice(0.8)], [dice(0.8)], 0.02).refusal == ""
    assert judged([dice(0.8)], [dice(0.9)], 0.02).refusal == ""
    assert "fell from 0.8000 to 0.7980" in judged([dice(0.8)], [dice(0.798)], 0.02).refusal


def test_a_structure_that_lost_more_than_the_tolerance_is_named() -> None:
    start = [dice(0.5), dice(0.9, "spleen")]
    result = [dice(0.7), dice(0.86, "spleen")]
    assert judged(start, result, 0.05).refusal == ""
    assert judged(start, result, 0.02).refusal == "The Dice of spleen fell by more than 0.02."


def test_what_the_reference_lacks_has_no_dice_but_a_volume() -> None:
    verdict = judged([dice(0.5), absent(9)], [dice(0.6), absent(4)], 0.02)
    aorta = next(change for change in verdict.changes if change.structure == "aorta")
    assert (aorta.difference, aorta.false_ml) == (None, (9.0, 4.0))
    assert verdict.mean.start.value == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("before", "after", "refused"), [(0, 800, True), (0, 5, False), (100, 199, False)]
)
def test_a_flood_of_what_is_not_there_is_refused(before: int, after: int, refused: bool) -> None:
    verdict = judged([dice(0.5), absent(before)], [dice(0.6), absent(after)], 0.02)
    assert verdict.flooded == (("aorta",) if refused else ())
    assert ("twice as much aorta is found" in verdict.refusal) == refused


def test_what_nothing_taught_and_nothing_judged_is_named(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        add_ball_case(tmp_path, number, structures=("liver",))
    cases = [examine(found, CARD) for found in read_training_set(tmp_path)]
    split = hold_out_named(cases, [patient(3)])
    verdict = judged([dice(0.5), absent(3, "spleen")], [dice(0.6), absent(3, "spleen")], 0.02)
    origin = Origin(CARD, "0" * 64)
    card = finetuned_card(origin, "mine", split, verdict)
    before, after = (dice(0.5),), (dice(0.6),)
    recipe = Recipe()
    report = Report(
        origin, card, split, tuple(cases), before, after, verdict, recipe, 0.02, saved=True
    )
    for said in (remarks(report), card.provenance.caveats):
        for words in ("No case taught spleen", "No held-out case shows spleen"):
            assert any(sentence.startswith(words) for sentence in said)
    told = as_json(report)
    assert told["taught by no case"] == told["judged by no case"] == ["spleen"]


def test_changes_have_an_interval_from_three_patients_on() -> None:
    start = [dice(0.5, who=who) for who in "abc"]
    result = [dice(value, who=who) for who, value in zip("abc", (0.6, 0.7, 0.65), strict=True)]
    two, three = (judged(start[:n], result[:n], 0.02).mean.difference for n in (2, 3))
    assert (two.low, two.high) == (None, None)
    assert 0.1 <= three.low < three.value < three.high <= 0.2
