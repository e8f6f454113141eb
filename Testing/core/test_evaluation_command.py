"""`gdla evaluate`: what it prints, writes and refuses."""

from __future__ import annotations

import builtins
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from command_line import ThresholdEngine, run_gdla
from phantom import make_card
from training_data import STRUCTURES, write_dataset

from GDLACore.cli import evaluate as command
from GDLACore.imaging.reference import read_reference
from GDLACore.imaging.writing import write_segmentation
from GDLACore.model.catalogue import find
from GDLACore.resources import resource_path
from GDLACore.training.dataset import read_dataset

pytest.importorskip("monai")
pytest.importorskip("PIL")

ROOT = Path(__file__).resolve().parents[2]
# The phantoms' grey values: the spleen is brighter than the window, the liver within it.
TEST_ONLY = {"validation_patients": [], "test_patients": ["a", "b"]}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ThresholdEngine:
    engine = ThresholdEngine(dataclasses.replace(make_card(STRUCTURES), sha256="ab" * 32))
    monkeypatch.setattr(command, "load_engine", lambda *_, **__: engine)
    return engine


def fails(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run_gdla("evaluate", *arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    return printed.err


def test_a_model_is_scored_on_the_test_patients(tmp_path: Path, engine, capsys) -> None:
    dataset = write_dataset(tmp_path, **TEST_ONLY)
    out = tmp_path / "report"
    assert run_gdla("evaluate", dataset, "--model", "m.onnx", "-o", out, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["report"] == str(out / "report.html") and told["split"] == "test"
    assert told["model"] == {"name": "abdomen", "version": "1.2", "sha256": "ab" * 32}
    assert told["dataset"]["split_sha256"] == read_dataset(dataset).split_sha256
    assert {(row["case"], row["structure"]) for row in told["scores"]} == {
        (case, structure) for case in "ab" for structure in STRUCTURES
    }
    spleen = [row["scores"] for row in told["scores"] if row["structure"] == "spleen"]
    assert [scores["outcome"] for scores in spleen] == ["missed", "missed"]
    assert json.loads((out / "scores.json").read_text(encoding="utf-8"))["scores"] == told["scores"]
    assert engine.closed


def test_the_table_tells_the_means_and_where_the_report_is(tmp_path: Path, engine, capsys) -> None:
    dataset = write_dataset(tmp_path)
    out = tmp_path / "report"
    arguments = (dataset, "--model", "m.onnx", "-o", out, "--protocol", "paper")
    assert run_gdla("evaluate", *arguments) == 0
    printed = capsys.readouterr().out
    assert "validation cases" in printed  # there are no test cases, so it says which it took
    for words in ("liver", "All structures", "lengths in mm", "HD95 voxels", "Published protocol",
                  "they need 3 patients, not 1", str(out / "report.html"), "clinical"):  # fmt: skip
        assert words in printed
    assert run_gdla("evaluate", *arguments, "--force", "--quiet") == 0
    assert capsys.readouterr().out == ""


def test_segmentations_of_another_program_are_scored(tmp_path: Path, capsys) -> None:
    dataset = write_dataset(tmp_path, **TEST_ONLY)
    found = tmp_path / "found"
    found.mkdir()
    for case in read_dataset(dataset).test:
        volume, classes = read_dataset(dataset).read(case)
        write_segmentation(found / f"{case.id}.seg.nrrd", classes, volume, make_card(STRUCTURES))
    arguments = ("--segmentations", found, "-o", tmp_path / "report", "--json")
    assert run_gdla("evaluate", dataset, *arguments, "--tolerance", "liver=1.5") == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["scores"]["dice"] for row in told["scores"]] == [1.0] * 4
    assert told["tolerances"] == {"liver": 1.5, "spleen": 2.0}
    assert told["segmentations"] == str(found)


def test_what_was_learnt_from_is_scored_when_asked_for(tmp_path: Path, engine, capsys) -> None:
    dataset = write_dataset(tmp_path)
    out = tmp_path / "report"
    arguments = ("--model", "m.onnx", "--split", "training", "-o", out, "--json")
    assert run_gdla("evaluate", dataset, *arguments) == 0
    assert {row["case"] for row in json.loads(capsys.readouterr().out)["scores"]} == {"a"}


Spoil = Callable[[Path], dict[str, object]]
REFUSED: dict[str, tuple[Spoil, str]] = {
    "nobody held back": (
        lambda folder: {"dataset": {"validation_patients": []}},
        "holds back no cases, neither for test nor for validation. Name test_patients",
    ),
    "no test patients": (lambda folder: {"options": ["--split", "test"]}, "has no test cases"),
    "another model": (
        lambda folder: {"card": make_card(("liver", "aorta"))},
        "does not segment spleen, which the dataset lists",
    ),
    "a tolerance of nothing": (
        lambda folder: {"options": ["--tolerance", "kidney=3"]},
        "tolerance for kidney, which the dataset does not list",
    ),
    "a report already there": (
        lambda folder: (folder / "report" / "x").mkdir(parents=True) or {},
        "report is not empty",
    ),
    "no such dataset": (lambda folder: (folder / "dataset.yaml").unlink() or {}, "dataset.yaml"),
    "an image of another grid": (
        lambda folder: (folder / "b-labels.nii.gz").write_bytes(
            (ROOT / "Resources/samples/ct-abdomen-reference.nii.gz").read_bytes()
        ) and {},
        "not on the grid",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_scored_is_told_in_a_sentence_and_nothing_is_written(
    tmp_path: Path, engine, capsys, name: str
) -> None:
    spoil, message = REFUSED[name]
    write_dataset(tmp_path)
    changes = spoil(tmp_path)
    engine.card = changes.get("card", engine.card)
    if "dataset" in changes:
        write_dataset(tmp_path, **changes["dataset"])
    before = sorted(tmp_path.rglob("*"))
    told = fails(capsys, tmp_path / "dataset.yaml", "--model", "m.onnx",
                 "-o", tmp_path / "report", *changes.get("options", []))  # fmt: skip
    assert message in told
    assert sorted(tmp_path.rglob("*")) == before


def test_a_case_without_its_segmentation_is_named(tmp_path: Path, capsys) -> None:
    dataset = write_dataset(tmp_path)
    (tmp_path / "found").mkdir()
    told = fails(capsys, dataset, "--segmentations", tmp_path / "found", "-o", tmp_path / "report")
    assert "has no segmentation of case b. Name it b.seg.nrrd" in told
    assert not (tmp_path / "report").exists()


def test_without_monai_the_extra_is_named(tmp_path: Path, engine, capsys, monkeypatch) -> None:
    dataset = write_dataset(tmp_path)
    real = builtins.__import__

    def no_monai(name: str, *rest: object) -> ModuleType:
        if name.startswith("monai"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", no_monai)
    told = fails(capsys, dataset, "--model", "m.onnx", "-o", tmp_path / "report")
    assert "MONAI, which is not installed" in told and "GDLACore[train]" in told


@pytest.mark.parametrize("text", ["liver=", "=3", "wide"])
def test_a_tolerance_that_is_no_length_is_not_understood(text: str, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        run_gdla("evaluate", "d.yaml", "--model", "m", "-o", "r", "--tolerance", text)
    assert repr(text) in capsys.readouterr().err


def test_a_dataset_for_evaluation_alone_cannot_be_trained_on(tmp_path: Path, capsys) -> None:
    pytest.importorskip("lightning")
    write_dataset(tmp_path, **TEST_ONLY)
    (tmp_path / "card.json").write_text(make_card(STRUCTURES).to_json(), encoding="utf-8")
    plan = tmp_path / "train.yaml"
    plan.write_text('{"card": "card.json", "dataset": "dataset.yaml"}', encoding="utf-8")
    assert run_gdla("train", plan, "-o", tmp_path / "run") == 1
    assert "nothing is left to learn from" in capsys.readouterr().err


def test_the_test_set_of_the_demonstration_says_what_its_reference_says() -> None:
    dataset = read_dataset(ROOT / "recipes/demo-ct/test-dataset.yaml")
    card = find("demo-ct").card
    assert dataset.structures == tuple(label.name for label in card.labels)
    (case,) = dataset.test
    volume, classes = dataset.read(case)
    path = resource_path("samples", "ct-abdomen-reference.nii.gz")
    reference = read_reference(path, volume, card)
    for index, label in enumerate(card.labels, start=1):
        values = reference.values.get(label.value)
        assert (values is None) == (label.name in case.unknown)
        if values is not None:
            assert np.array_equal(classes == index, np.isin(reference.labels, values)), label.name
