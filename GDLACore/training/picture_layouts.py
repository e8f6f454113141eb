"""The layouts of BUSI, HAM10000, PH2 and Kvasir: pictures, and masks found by their names."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from GDLACore.errors import TrainingError
from GDLACore.training.folders import files_below
from GDLACore.training.masked_picture import MaskedPicture
from GDLACore.training.splits import FoundCase

_PICTURE = re.compile(r"\.(png|jpe?g|bmp|tiff?)$", re.IGNORECASE)
_MASK_FOLDERS = {"mask", "masks"}


@dataclass(frozen=True)
class PictureLayout:
    """How the files of a layout are named.

    ``mask`` matches a mask's whole name but its ending, with the group ``id`` for its picture's; in
    a folder named mask or masks every picture is one, of the picture of equal name. ``other``
    matches pictures of the original data that are neither. ``blank`` is whether a picture may show
    nothing of the structure. ``patients`` names the table that says which pictures belong together.
    """

    structure: str
    mask: re.Pattern[str]
    other: re.Pattern[str]
    blank: bool
    example: str
    patients: str | None = None


_NONE = re.compile(r"(?!)")

PICTURE_LAYOUTS = {
    "busi": PictureLayout(
        structure="Breast lesion",
        mask=re.compile(r"(?P<id>.+)_mask(_\d+)?", re.IGNORECASE),
        other=_NONE,
        blank=True,  # the class "normal"
        example="benign (1).png and benign (1)_mask.png",
    ),
    "ham10000": PictureLayout(
        structure="Skin lesion",
        mask=re.compile(r"(?P<id>.+)_segmentation", re.IGNORECASE),
        other=re.compile(r".+_superpixels", re.IGNORECASE),
        blank=False,
        example="ISIC_0024306.jpg and ISIC_0024306_segmentation.png",
        patients="HAM10000_metadata",
    ),
    "ph2": PictureLayout(
        structure="Skin lesion",
        mask=re.compile(r"(?P<id>.+)_lesion", re.IGNORECASE),
        other=re.compile(r".+_R\d+_Label\d+", re.IGNORECASE),
        blank=False,
        example="IMD002.bmp and IMD002_lesion.bmp",
    ),
    "kvasir": PictureLayout(
        structure="Polyp",
        mask=re.compile(r"(?P<id>.+)_mask", re.IGNORECASE),
        other=_NONE,
        blank=False,
        example="cju0.png and cju0_mask.png, or images/cju0.jpg and masks/cju0.jpg",
    ),
}


def find_picture_cases(layout: PictureLayout, folder: Path, rule: str) -> list[FoundCase]:
    """Return a case for every picture below ``folder``, with its mask or masks.

    A picture is its own patient unless a table of the layout says more. Raises TrainingError,
    naming the file, if there are none, or if a picture lacks its mask or a mask its picture.
    """
    pictures: dict[str, list[Path]] = {}
    masks: dict[str, list[Path]] = {}
    tables = []
    for file in files_below(folder):
        if layout.patients and file.name.lower().startswith(layout.patients.lower()):
            tables.append(file)
        stem, endings = _PICTURE.subn("", file.name)
        if not endings or layout.other.fullmatch(stem):
            continue
        if match := layout.mask.fullmatch(stem):
            masks.setdefault(match["id"].casefold(), []).append(file)
        elif file.parent.name.lower() in _MASK_FOLDERS:
            masks.setdefault(stem.casefold(), []).append(file)
        else:
            pictures.setdefault(stem.casefold(), []).append(file)
    if not (pictures or masks):
        raise TrainingError(
            f"{folder} holds no pictures.", f"Files of this layout are named like {layout.example}."
        )
    _check_pairs(pictures, masks, layout)
    _check_single(pictures)
    patients = _patients(tables[0]) if tables else {}
    found = []
    for key, (picture,) in pictures.items():
        name = _PICTURE.sub("", picture.name)
        if tables and key not in patients:
            raise TrainingError(
                f"{tables[0]} does not list {name}.",
                "Get the whole table, or take it away: then every picture is a patient.",
            )
        case = MaskedPicture(
            name, patients.get(key, name), picture, tuple(masks[key]), rule, layout.blank
        )
        found.append(FoundCase(case, picture.relative_to(folder)))
    return sorted(found, key=lambda item: item.path)


def _check_pairs(
    pictures: dict[str, list[Path]], masks: dict[str, list[Path]], layout: PictureLayout
) -> None:
    for have, want, what in ((pictures, masks, "mask"), (masks, pictures, "picture")):
        if alone := [files[0] for key, files in have.items() if key not in want]:
            more = f", like {len(alone) - 1} others" if len(alone) > 1 else ""
            raise TrainingError(
                f"{alone[0]} has no {what}{more}.",
                f"Files of this layout are named like {layout.example}.",
            )


def _check_single(pictures: dict[str, Sequence[Path]]) -> None:
    for files in pictures.values():
        if len(files) > 1:
            raise TrainingError(
                f"Two pictures have the same id: {files[0]} and {files[1]}.",
                "Take one of them away, or rename it and its mask.",
            )


def _patients(table: Path) -> dict[str, str]:
    """Return the lesion of each picture, both columns of a table separated by commas or tabs."""
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"{table} cannot be read as a table.") from error
    delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
    rows = csv.DictReader(text.splitlines(), delimiter=delimiter)
    if not {"image_id", "lesion_id"} <= set(rows.fieldnames or ()):
        raise TrainingError(
            f"{table} has no columns image_id and lesion_id.",
            "Get the table again, or take it away: then every picture is a patient.",
        )
    return {
        row["image_id"].casefold(): row["lesion_id"]
        for row in rows
        if row["image_id"] and row["lesion_id"]
    }
