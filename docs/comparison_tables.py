"""Write the tables of docs/comparison.md from the results of `gdla compare`.

    python docs/comparison_tables.py

Takes every ``recipes/comparison/results/NAME.json``, a copy of a comparison's ``results.json``, to
the place ``<!-- NAME -->``. Testing/packaging/test_comparison_page.py compares the two.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/comparison.md"
RESULTS = ROOT / "recipes/comparison/results"

sys.path.insert(0, str(ROOT))

from GDLACore.comparison.report import tables  # noqa: E402


def with_tables(page: str) -> str:
    """Return the text of the page with the tables of all results in their places."""
    for path in sorted(RESULTS.glob("*.json")):
        begin, end = f"<!-- {path.stem} -->\n", f"<!-- /{path.stem} -->\n"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"{PAGE} has no place for the results {path.stem!r}")
        text = tables(json.loads(path.read_text("utf-8")))
        page = f"{before}{begin}\n{text}\n{end}{after}"
    return page


def main() -> None:
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
