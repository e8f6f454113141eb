"""Write the table of models into the README from the catalogue.

    python docs/models_table.py

Testing/packaging/test_documents.py compares the two.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
BEGIN, END = "<!-- models -->\n", "<!-- /models -->\n"

sys.path.insert(0, str(ROOT))

from GDLACore.model.catalogue import CatalogueEntry, catalogue  # noqa: E402
from GDLACore.weights.shapes import weight_shapes  # noqa: E402

_MODALITIES = {"CT": "CT", "MR": "MR", "US": "ultrasound", "RGB": "dermoscopy"}


def table() -> str:
    """Return the table as Markdown."""
    lines = [
        "| name | images | structures | size | license of the weights | source |",
        "|---|---|---|---|---|---|",
        *(_row(entry) for entry in catalogue()),
    ]
    return "\n".join(lines) + "\n"


def _row(entry: CatalogueEntry) -> str:
    card = entry.card
    structures = ", ".join(label.name.lower() for label in card.labels)
    provenance = card.provenance
    source = "in the extension" if entry.resource is not None else f"[authors]({provenance.source})"
    licence = provenance.licence.rpartition("Weights: ")[2]
    licence = licence[:1].upper() + licence[1:]
    return (
        f"| `{card.name}` | {_MODALITIES[card.modality]} | {structures} | {_megabytes(entry)} MB "
        f"| {licence} | {source} |"
    )


def _megabytes(entry: CatalogueEntry) -> str:
    if entry.resource is not None:
        return f"{entry.resource.stat().st_size / 1e6:.1f}"
    card = entry.card
    shapes = weight_shapes(card.architecture, card.in_channels, len(card.labels) + 1)
    return f"{4 * sum(math.prod(shape) for shape in shapes.values()) / 1e6:.0f}"


def main() -> None:
    before, _, rest = README.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(before + BEGIN + "\n" + table() + "\n" + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
