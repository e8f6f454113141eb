"""The page of the comparison: its tables are those of the results, its files can be read."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest
from documents import ROOT, text_of


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tables", ROOT / "docs/comparison_tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_those_of_the_results(script: ModuleType) -> None:
    page = text_of(script.PAGE)
    assert script.with_tables(page) == page


def test_a_result_without_a_place_is_not_lost_silently(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    (tmp_path / "speed.json").write_text("{}", encoding="utf-8")
    monkeypatch.setattr(script, "RESULTS", tmp_path)
    with pytest.raises(ValueError, match="no place for the results 'speed'"):
        script.with_tables(text_of(script.PAGE))


@pytest.mark.parametrize("name", ["mixers", "ablations", "better"])
def test_every_comparison_that_ships_is_valid(name: str, tmp_path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("lightning")
    from GDLACore.comparison.runs import runs_of
    from GDLACore.comparison.settings import read_comparison

    comparison = read_comparison(ROOT / f"recipes/comparison/{name}.yaml")
    runs = runs_of(comparison, tmp_path)
    assert len(runs) == len(comparison.variants) * len(comparison.seeds) >= 9
    assert len({repr((run.plan.card, run.plan.recipe)) for run in runs}) == len(runs)
