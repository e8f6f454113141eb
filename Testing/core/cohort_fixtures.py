"""What tests of runs over a cohort begin with: three studies beside a damaged one, and an engine.

Imported by their own names, so that no argument of a test hides an import.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from cohorts import CountingEngine, use_engine, write_cohort
from phantom import make_card


@pytest.fixture(name="engine")
def counting_engine(monkeypatch: pytest.MonkeyPatch) -> CountingEngine:
    engine = CountingEngine(make_card())
    use_engine(monkeypatch, engine)
    return engine


@pytest.fixture(name="cohort")
def small_cohort(tmp_path: Path) -> Path:
    return write_cohort(tmp_path / "in", 3)


@pytest.fixture(name="out")
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"
