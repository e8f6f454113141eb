"""What an object repeats of patient and study as it is, though highdicom would not take it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from GDLACore.imaging.dicom_source import put

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_SEXES = ("", "M", "F", "O")


def set_aside(dataset: Dataset) -> dict[str, object]:
    """Empty what highdicom refuses; return it by keyword, for ``put_back`` into what it made.

    Archives hold other sexes than DICOM knows, and dates and times of another form, or of none.
    """
    from pydicom.valuerep import DA, TM

    aside: dict[str, object] = {}
    sex = dataset.get("PatientSex")
    if sex is not None and sex not in _SEXES:
        aside["PatientSex"] = sex
    for keyword, form in (("PatientBirthDate", DA), ("StudyDate", DA), ("StudyTime", TM)):
        try:
            form(dataset.get(keyword) or "")
        except (TypeError, ValueError):
            aside[keyword] = dataset.get(keyword)
    put_back(dataset, dict.fromkeys(aside, ""))
    return aside


def put_back(dataset: Dataset, aside: Mapping[str, object]) -> None:
    """Let ``dataset`` say what was set aside."""
    for keyword, value in aside.items():
        put(dataset, keyword, value)
