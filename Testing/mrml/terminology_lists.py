"""The code lists that Slicer's terminologies module wants to find when it starts, without codes.

Slicer brings three, and slicer-core none of them. What our segments say about themselves travels
as text and is looked up in no list, so lists that only have the right names do.
"""

from __future__ import annotations

import json
from pathlib import Path

_SCHEMAS = "https://raw.githubusercontent.com/qiicr/dcmqi/master/doc/schemas/"

_SEGMENTS = {
    "SlicerGeneralAnatomy": "Segmentation category and type - 3D Slicer General Anatomy list",
    "DICOM-Master": "Segmentation category and type - DICOM master list",
}


def write_terminology_lists(folder: Path) -> None:
    """Write the three files into ``folder``, which must exist."""
    for file, title in _SEGMENTS.items():
        _write(
            folder / f"SegmentationCategoryTypeModifier-{file}.term.json",
            {
                "SegmentationCategoryTypeContextName": title,
                "@schema": _SCHEMAS + "segment-context-schema.json#",
                "SegmentationCodes": {"Category": []},
            },
        )
    _write(
        folder / "AnatomicRegionAndModifier-DICOM-Master.term.json",
        {
            "AnatomicContextName": "Anatomic codes - DICOM master list",
            "@schema": _SCHEMAS + "anatomic-context-schema.json#",
            "AnatomicCodes": {"AnatomicRegion": []},
        },
    )


def _write(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
