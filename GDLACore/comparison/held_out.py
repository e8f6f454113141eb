"""Whether whoever a comparison is scored on took no part in its trainings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from GDLACore.errors import TrainingError
from GDLACore.training.cases import Case
from GDLACore.training.dataset import Dataset


def check_held_out(
    dataset: Dataset, path: Path, tests: Sequence[Dataset], paths: Sequence[Path]
) -> None:
    """Raise TrainingError if a test case shows a patient, or has an image, of a training.

    ``dataset``, of the file ``path``, is what is trained and validated on. Names of patients that
    differ only in capitals or spaces around them are the same. A test in that very file is left
    alone: the file itself has kept it apart.
    """
    used = dataset.training + dataset.validation
    patients = _first(used, _patient)
    images = _first(used, _image)
    for test, of in zip(tests, paths, strict=True):
        if of.resolve() == path.resolve():
            continue
        for case in test.test:
            if (other := patients.get(_patient(case))) is not None:
                raise TrainingError(
                    f"Patient {case.patient} is scored in {of}, and learnt from or validated on in "
                    f"{path} (case {other.id}).",
                    "Take the patient out of one of them, or give patients of your own names that "
                    "differ.",
                )
            if (image := _image(case)) is not None and (other := images.get(image)) is not None:
                raise TrainingError(
                    f"The image of case {case.id} in {of} is that of case {other.id} in {path}, "
                    "which is learnt from or validated on.",
                    "Take it out of one of them.",
                )


def _first(cases: Iterable[Case], key: Callable[[Case], str | None]) -> dict[str | None, Case]:
    found: dict[str | None, Case] = {}
    for case in cases:
        found.setdefault(key(case), case)
    return found


def _patient(case: Case) -> str:
    return case.patient.strip().casefold()


def _image(case: Case) -> str | None:
    """Return the SHA-256 of the case's image, of arrays with their labels; None if not told."""
    about = case.description()
    return about.get("image", about.get("files"))
