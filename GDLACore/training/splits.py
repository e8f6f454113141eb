"""Who is learnt from, who chooses the best weights, who is kept for the test: by patient."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from GDLACore.errors import TrainingError
from GDLACore.training.cases import Case
from GDLACore.training.settings_file import check_fields

SPLITS = ("training", "validation", "test")
SPLIT_FIELDS = {"split", "validation_patients", "test_patients"}

# Names of the folders that common copies of the data sets keep the splits in.
_FOLDERS = {
    "train": "training",
    "training": "training",
    "train_npz": "training",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
    "test_vol_h5": "test",
}


@dataclass(frozen=True)
class FoundCase:
    """A case and its (first) file, relative to the folder it was found in."""

    case: Case
    path: Path


def key_of(name: str) -> str:
    """Return what is equal for names that mean the same patient, or the same case."""
    return name.strip().casefold()


def one_spelling(found: Sequence[FoundCase]) -> list[FoundCase]:
    """Return ``found`` with the name of each patient as it is spelled first."""
    first: dict[str, str] = {}
    return [
        replace(item, case=replace(item.case, patient=first.setdefault(key_of(name), name)))
        for item in found
        for name in [item.case.patient.strip()]
    ]


def split_cases(
    found: Sequence[FoundCase], data: dict[str, Any], path: Path
) -> dict[str, tuple[Case, ...]]:
    """Return the cases of each of SPLITS as the fields SPLIT_FIELDS of the dataset file say.

    ``validation_patients`` and ``test_patients`` list patients, or cases; ``split`` is "folders",
    "published" (the same, but validation is the test, as published for Synapse), or a mapping of
    ``validation`` and ``test`` to fractions of the patients, and ``seed``. With none of them
    everybody is learnt from.

    Raises TrainingError if a patient, or an id, would be in two splits, or if nobody is left to
    learn from or to test on.
    """
    how = data.get("split")
    if how is not None and data.keys() & {"validation_patients", "test_patients"}:
        raise TrainingError(f"{path} has both `split` and lists of patients.", "Keep one of them.")
    if how is None:
        chosen = _listed(found, data, path)
    elif how in ("folders", "published"):
        chosen = _by_folder(found, path)
    else:
        chosen = _drawn(found, how, path)
    _check_apart(found, chosen, path)
    _check_ids(found, path)
    splits = {
        name: tuple(f.case for f, split in zip(found, chosen, strict=True) if split == name)
        for name in SPLITS
    }
    if not splits["training"] and (splits["validation"] or isinstance(how, dict)):
        raise TrainingError(f"Every patient in {path} is held out: nothing is left to learn from.")
    if how == "published":
        if splits["validation"]:
            raise TrainingError(
                f"`split: published` in {path} validates on the test, but there is a folder for "
                "validation, too.",
                "Write `split: folders`.",
            )
        splits["validation"] = splits["test"]
    return splits


def _check_ids(found: Sequence[FoundCase], path: Path) -> None:
    """Refuse ids that are the same, or would be as names of files on Windows and macOS."""
    first: dict[str, FoundCase] = {}
    for item in found:
        other = first.setdefault(key_of(item.case.id), item)
        if other is not item:
            raise TrainingError(
                f"Two cases in {path} have the same id {item.case.id}: "
                f"{other.path} and {item.path}.",
                "Take one of them away, or rename it.",
            )


def _listed(found: Sequence[FoundCase], data: dict[str, Any], path: Path) -> list[str]:
    chosen = ["training"] * len(found)
    of_patient: dict[str, list[int]] = {}
    with_id: dict[str, list[int]] = {}
    for number, item in enumerate(found):
        of_patient.setdefault(key_of(item.case.patient), []).append(number)
        with_id.setdefault(key_of(item.case.id), []).append(number)
    for split in SPLITS[1:]:
        field = f"{split}_patients"
        missing = []
        for name in _names(data.get(field), field, path):
            patients, ids = (numbers.get(key_of(name), []) for numbers in (of_patient, with_id))
            if patients and not set(ids) <= set(patients):
                raise TrainingError(
                    f"{name} in {field} of {path} is a patient, and the id of a case of patient "
                    f"{found[ids[0]].case.patient}.",
                    "Rename one of them.",
                )
            meant = patients or ids
            missing += [] if meant else [name]
            if any(chosen[number] not in ("training", split) for number in meant):
                raise TrainingError(
                    f"Patient {found[meant[0]].case.patient} is in both validation_patients and "
                    f"test_patients in {path}.",
                    "Take the patient out of one of them.",
                )
            for number in meant:
                chosen[number] = split
        if missing:
            raise TrainingError(f"{field} {sorted(missing)} have no case in {path}.")
    return chosen


def _names(data: Any, field: str, path: Path) -> list[str]:
    """Return a list of names, or the lines of the text file that is named instead."""
    if isinstance(data, str):
        try:
            lines = (path.parent / data).read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:  # no text, or a name that no file can have
            raise TrainingError(
                f"The file {path.parent / data} of `{field}` cannot be read.",
                "Name a text file with one patient per line, or list them.",
            ) from error
        return [line.strip() for line in lines if line.strip()]
    names = data or []
    if not isinstance(names, list) or not all(isinstance(name, (str, int)) for name in names):
        raise TrainingError(f"`{field}` in {path} must be a list of names, or a text file's name.")
    return [str(name) for name in names]


def _by_folder(found: Sequence[FoundCase], path: Path) -> list[str]:
    chosen = []
    for item in found:
        folders = [_FOLDERS[p.lower()] for p in item.path.parts[:-1] if p.lower() in _FOLDERS]
        if not folders:
            raise TrainingError(
                f"{item.path} is in no folder whose name says which split it belongs to.",
                f"Such names are {', '.join(_FOLDERS)}.",
            )
        chosen.append(folders[0])
    return chosen


def _drawn(found: Sequence[FoundCase], how: Any, path: Path) -> list[str]:
    """Draw patients in an order that depends on the seed and their names, not on files' order."""
    how = check_fields(how, f"`split` in {path}", set(), {"validation", "test", "seed"})
    seed = how.get("seed", 42)
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TrainingError(f"`seed` of `split` in {path} must be a whole number, not {seed!r}.")
    patients = sorted(
        {item.case.patient for item in found},
        key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest(),
    )
    split_of: dict[str, str] = {}
    for split in ("test", "validation"):
        fraction = how.get(split, 0)
        if isinstance(fraction, bool) or not isinstance(fraction, (int, float)):
            fraction = -1
        if not 0 <= fraction < 1:
            raise TrainingError(
                f"`{split}` of `split` in {path} must be a fraction below 1, "
                f"not {how.get(split)!r}.",
                "List patients by name in validation_patients and test_patients.",
            )
        count = round(fraction * len(patients))
        if fraction and not count:
            raise TrainingError(
                f"{fraction:g} of {len(patients)} patients for {split}, as {path} says, is nobody.",
                "Choose a larger fraction.",
            )
        start = len(split_of)
        split_of.update(dict.fromkeys(patients[start : start + count], split))
    return [split_of.get(item.case.patient, "training") for item in found]


def _check_apart(found: Sequence[FoundCase], chosen: Sequence[str], path: Path) -> None:
    first: dict[str, tuple[FoundCase, str]] = {}
    for item, split in zip(found, chosen, strict=True):
        other, other_split = first.setdefault(item.case.patient, (item, split))
        if other_split != split:
            raise TrainingError(
                f"Patient {item.case.patient} would be both in {other_split} ({other.path}) and "
                f"in {split} ({item.path}) by {path}.",
                "Keep all cases of a patient in one split.",
            )
