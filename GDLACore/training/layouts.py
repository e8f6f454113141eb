"""A dataset file that names a layout and a folder instead of listing cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from GDLACore.errors import TrainingError
from GDLACore.training.array_layouts import ARRAY_LAYOUTS, find_array_cases
from GDLACore.training.case_list import listed_names, text_of
from GDLACore.training.masked_picture import MASK_RULES
from GDLACore.training.pairs_layout import PAIRS_FIELDS, find_pairs
from GDLACore.training.picture_layouts import PICTURE_LAYOUTS, find_picture_cases
from GDLACore.training.settings_file import check_fields
from GDLACore.training.splits import SPLIT_FIELDS, FoundCase

LAYOUTS = (*ARRAY_LAYOUTS, *PICTURE_LAYOUTS, "pairs")
LAYOUT_FIELDS = {"layout", "folder", "structures", "masks"} | PAIRS_FIELDS


def found_cases(data: dict[str, Any], path: Path) -> tuple[tuple[str, ...], list[FoundCase]]:
    """Return the structures and the cases in the folder that the dataset file ``path`` names.

    Raises TrainingError for an unknown layout, for fields that it does not have, and for what is
    wrong with the files' names.
    """
    name = data["layout"]
    if name not in LAYOUTS:
        raise TrainingError(
            f"{path} names the layout {name!r}, which is unknown.",
            f"Known layouts are {', '.join(LAYOUTS)}.",
        )
    fields = {"structures"} | SPLIT_FIELDS
    structures = listed_names(data, "structures", path)
    if (name in PICTURE_LAYOUTS or data.get("masks")) and len(structures) > 1:
        raise TrainingError(
            f"{path} lists {len(structures)} structures, but masks mark one.",
            "Use label maps whose values tell the structures apart.",
        )
    if name == "pairs":
        required = {"layout", "folder", "structures", "images", "labels"}
        check_fields(data, str(path), required, fields | PAIRS_FIELDS | {"masks"})
        folder = path.parent / text_of(data, "folder", path)
        return structures, find_pairs(data, path, folder, structures, _mask_rule(data, path))
    if name in ARRAY_LAYOUTS:
        check_fields(data, str(path), {"layout", "folder"}, fields)
        layout = ARRAY_LAYOUTS[name]
        folder = path.parent / text_of(data, "folder", path)
        return structures or layout.structures, find_array_cases(layout, folder)
    check_fields(data, str(path), {"layout", "folder"}, fields | {"masks"})
    pictures = PICTURE_LAYOUTS[name]
    folder = path.parent / text_of(data, "folder", path)
    rule = _mask_rule(data, path) or MASK_RULES[0]
    return structures or (pictures.structure,), find_picture_cases(pictures, folder, rule)


def _mask_rule(data: dict[str, Any], path: Path) -> str | None:
    rule = data.get("masks")
    if rule is not None and rule not in MASK_RULES:
        raise TrainingError(
            f"`masks` in {path} must be one of {', '.join(MASK_RULES)}, not {rule!r}."
        )
    return rule
