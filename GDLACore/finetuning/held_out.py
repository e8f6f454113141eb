"""Which corrected cases, or which of their slices, are kept to judge the result by."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from GDLACore.errors import TrainingError
from GDLACore.finetuning.cases import ExaminedCase, ReviewedCase, ranges_of

# Slices this close show nearly the same: what lies between learning and judging is left out.
GAP_MM = 4.0


@dataclass(frozen=True)
class Split:
    """Cases to learn from and cases to judge by; ``independent`` if no patient is in both.

    Patients of whom there is the same image are one, and bear one name in all their cases.
    """

    learning: tuple[ReviewedCase, ...]
    held_out: tuple[ReviewedCase, ...]
    independent: bool

    def untaught(self, names: Iterable[str]) -> list[str]:
        """Return those structures of ``names`` that no case to learn from tells about."""
        return [name for name in names if all(name in case.unknown for case in self.learning)]


def hold_out_named(cases: Sequence[ExaminedCase], names: Sequence[str]) -> Split:
    """Hold out the patients, or the cases, called ``names``.

    Raises TrainingError if one is not there, if nothing is left to learn from, or if a patient has
    a case in either half.
    """
    known = {name for item in cases for name in (item.case.id, item.case.patient)}
    if missing := sorted(set(names) - known):
        raise TrainingError(
            f"No case or patient to hold out is called {', '.join(missing)}.",
            f"There are {', '.join(sorted(known))}.",
        )
    chosen = {item.case.id for item in cases if {item.case.id, item.case.patient} & set(names)}
    split = _split(_by_person(cases), chosen)
    both = {c.patient for c in split.learning} & {c.patient for c in split.held_out}
    if both:
        halves = (*split.learning, *split.held_out)
        raise TrainingError(
            f"Patient {min(both)} has cases in both halves: what is held out would be known.",
            "Hold out the patient, with all cases: "
            f"{', '.join(sorted(c.id for c in halves if c.patient == min(both)))}.",
        )
    return split


def hold_out_patients(cases: Sequence[ExaminedCase], fraction: float, seed: int) -> Split:
    """Hold out ``fraction`` of the patients, at least one, drawn with ``seed``.

    Raises TrainingError if there is only one patient.
    """
    cases = _by_person(cases)
    patients = sorted({item.case.patient for item in cases})
    if len(patients) < 2:
        raise TrainingError(
            "All cases are of one patient: nobody is left to judge the result by.",
            "Add a case of another patient, or hold out slices of this one (--hold-out-slices), "
            "which says less.",
        )
    count = min(max(1, round(fraction * len(patients))), len(patients) - 1)
    drawn = set(random.Random(seed).sample(patients, count))
    return _split(cases, {item.case.id for item in cases if item.case.patient in drawn})


def hold_out_slices(cases: Sequence[ExaminedCase], fraction: float) -> Split:
    """Hold out the last ``fraction`` of every case's reviewed slices, as one block.

    The slices within GAP_MM before the block serve neither half. Slices of one patient are not
    independent: what comes out says how well the model suits this patient, not the next one.

    Raises TrainingError if a case has too few slices for that, or if two cases show the same image,
    for then the one would teach what the other judges.
    """
    learning, held_out = [], []
    shown: dict[str, str] = {}
    for item in cases:
        same = shown.setdefault(item.case.files["image"], item.case.id)
        if same != item.case.id:
            raise TrainingError(
                f"Cases {same} and {item.case.id} show the same image, so that the one would teach "
                "what the other judges.",
                "Leave one of them.",
            )
        slices = item.slices
        count = max(1, round(fraction * len(slices)))
        first = slices[-count]
        gap = math.ceil(GAP_MM / item.spacing)
        rest = [n for n in slices if n < first - gap]
        if not rest:
            raise TrainingError(
                f"Case {item.case.id} has {len(slices)} reviewed slices, too few to hold some out.",
                f"Review more of it: {GAP_MM:g} mm between learning and judging are left out.",
            )
        learning.append(replace(item.case, taught=ranges_of(rest)))
        held_out.append(item.held_out(ranges_of(slices[-count:])))
    return Split(tuple(learning), tuple(held_out), independent=False)


def _by_person(cases: Sequence[ExaminedCase]) -> list[ExaminedCase]:
    """Return the cases with one name for all patients of whom there is the same image.

    A patient's pseudonym is another where the secret, or the ID in the image, is another.
    """
    person = {item.case.patient: item.case.patient for item in cases}
    seen: dict[str, str] = {}
    for item in cases:
        patient = item.case.patient
        first, other = sorted(
            (person[patient], person[seen.setdefault(item.case.files["image"], patient)])
        )
        person = {name: first if one == other else one for name, one in person.items()}
    return [
        replace(item, case=replace(item.case, patient=person[item.case.patient])) for item in cases
    ]


def _split(cases: Sequence[ExaminedCase], chosen: set[str]) -> Split:
    learning = tuple(item.case for item in cases if item.case.id not in chosen)
    if not learning:
        raise TrainingError(
            "Every case is held out: nothing is left to learn from.", "Hold out fewer."
        )
    held_out = tuple(item.held_out(item.case.taught) for item in cases if item.case.id in chosen)
    return Split(learning, held_out, independent=True)
