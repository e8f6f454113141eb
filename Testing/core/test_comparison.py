"""A comparison end to end, on balls in noise: what is run, kept, refused and told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from phantom import make_card
from training_data import STRUCTURES, write_case, write_dataset, write_plan, yaml

pytest.importorskip("torch")
pytest.importorskip("lightning")

from GDLACore.cli import main
from GDLACore.comparison import command, runs, scoring
from GDLACore.comparison.command import compare
from GDLACore.comparison.report import results_of
from GDLACore.comparison.settings import read_comparison
from GDLACore.errors import TrainingError
from GDLACore.evaluation.results import Evaluation, Row
from GDLACore.evaluation.scores import Scores
from GDLACore.training.dataset import read_dataset

VARIANTS = {"gdla": {}, "linear": {"card": {"architecture": {"mixer": "linear"}}}}


def write_comparison(folder: Path, **changes: Any) -> Path:
    """Write a comparison of two tiny networks; "b" is the patient they are scored on."""
    write_plan(folder, iterations=2, warm_up=1, validate_every=2)
    write_dataset(folder, validation_patients=[], test_patients=["b"])
    path = folder / "comparison.yaml"
    data = {"plan": "train.yaml", "seeds": [1, 2], "variants": VARIANTS, **changes}
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[str], list]]:
    """A comparison that failed in its second run and was started again: folder, names, lines."""
    folder = tmp_path_factory.mktemp("comparison")
    path = write_comparison(folder)
    trained: list[str] = []
    train = runs.train_plan

    def failing_at_the_second(plan: Any, dataset: Any, into: Path, **options: Any) -> Path:
        trained.append(into.name)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return train(plan, dataset, into, **options)

    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "train_plan", failing_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            compare(path, folder / "out", device="cpu", say=lines.append)
        compare(path, folder / "out", device="cpu", say=lines.append)
    yield folder, trained, lines


def test_a_stopped_comparison_goes_on_with_what_is_missing(
    finished: tuple[Path, list[str], list[str]],
) -> None:
    folder, trained, lines = finished
    assert trained == ["gdla-1", "linear-1", "linear-1", "gdla-2", "linear-2"]
    assert [line.partition(":")[0] for line in lines if " of 4" in line] == trained
    out = folder / "out"
    before = {run: (out / "runs" / run / "scores.json").stat().st_mtime_ns for run in set(trained)}
    table = (out / "table.md").read_bytes()
    compare(folder / "comparison.yaml", out, device="cpu", say=lambda line: pytest.fail(line))
    for run, time in before.items():
        assert (out / "runs" / run / "scores.json").stat().st_mtime_ns == time
    assert (out / "table.md").read_bytes() == table


def test_results_are_the_means_of_the_runs(finished: tuple[Path, list[str], list[str]]) -> None:
    out = finished[0] / "out"
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert (results["cases"], results["patients"], results["reference"]) == (["b"], 1, "gdla")
    dice = {}
    for run in (out / "runs").iterdir():
        rows = json.loads((run / "scores.json").read_text(encoding="utf-8"))["rows"]
        assert [row["structure"] for row in rows] == list(STRUCTURES)
        dice[run.name] = sum(row["dice"] for row in rows) / 2
    for name in VARIANTS:
        assert results["variants"][name]["dice by seed"] == pytest.approx(
            [dice[f"{name}-1"], dice[f"{name}-2"]]
        )
    difference = [dice[f"linear-{seed}"] - dice[f"gdla-{seed}"] for seed in (1, 2)]
    assert results["differences"]["linear"]["mean"] == pytest.approx(sum(difference) / 2)


def test_the_table_has_a_row_for_each_variant_and_says_what_its_intervals_mean(
    finished: tuple[Path, list[str], list[str]],
) -> None:
    text = (finished[0] / "out" / "table.md").read_text(encoding="utf-8")
    first = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")]
    assert first == ["variant", "---", "gdla", "linear", "Dice", "---", "gdla", "linear"]
    assert "1 test case of 1 patient" in text and "nothing about other patients" in text


def test_variants_of_a_seed_see_the_same_batches_and_differ_where_they_say(
    finished: tuple[Path, list[str], list[str]],
) -> None:
    plans = {
        run: json.loads((finished[0] / "out/runs" / run / "plan.json").read_text("utf-8"))
        for run in ("gdla-1", "linear-1", "gdla-2")
    }
    assert plans["gdla-1"]["recipe"] == plans["linear-1"]["recipe"]
    assert plans["gdla-1"]["card"]["architecture"]["mixer"] == "gdla"
    assert plans["linear-1"]["card"]["architecture"]["mixer"] == "linear"
    assert plans["gdla-2"]["recipe"] == {**plans["gdla-1"]["recipe"], "seed": 2}


def test_scores_of_another_test_are_not_kept(
    finished: tuple[Path, list[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = finished[0]
    other = folder / "other"
    other.mkdir()
    write_dataset(
        other, validation_patients=[], test_patients=["c"], cases=[write_case(other, "c", 3)]
    )
    path = write_comparison(folder, seeds=[1], test=["other/dataset.yaml"])
    scored = []
    monkeypatch.setattr(command, "finish_training", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr(
        command, "score_run", lambda run, tests, device: scored.append(run.name) or ROWS
    )
    compare(path, folder / "out", device="cpu", say=lambda line: None)
    assert scored == ["gdla-1", "linear-1"]


ROWS = [{"test": 0, "case": "c", "patient": "c", "structure": "liver", "dice": 0.5, "nsd": 0.5}]


def test_cases_of_two_test_files_are_two_though_their_ids_are_equal() -> None:
    rows = ROWS + [{**ROWS[0], "test": 1, "dice": 0.7}]
    results = results_of(["gdla"], [1], {("gdla", 1): rows}, [])
    assert (results["cases"], results["patients"]) == (["c", "c"], 2)


def test_where_the_spacing_is_not_known_there_is_no_share_within_2_mm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Scores("found", 0.5, 3.0, 0.25, 1.0, None, 0.0, None, None)
    evaluations = {
        unit: Evaluation(
            "test", "native", ("l",), {"l": 2.0}, (Row("c", "p", "l", unit, found),), ()
        )
        for unit in ("mm", "voxels")
    }
    monkeypatch.setattr(scoring, "load_engine", lambda *_, **__: nullcontext(Segmenting()))
    monkeypatch.setattr(scoring, "evaluate_cases", lambda test, *_, **__: evaluations[test])
    monkeypatch.setattr(scoring, "_of", lambda run, tests: {})
    run = runs.Run("gdla", 1, tmp_path, plan=None)
    rows = scoring.score_run(run, ["mm", "voxels"], "cpu")
    assert [(row["test"], row["nsd"], row["hd95"]) for row in rows] == [
        (0, 0.25, 3.0),
        (1, None, None),
    ]


class Segmenting:
    card = make_card(STRUCTURES)


@pytest.mark.parametrize(
    ("patient", "seed", "message"),
    [
        ("A ", 3, r"Patient A +is scored in .*other.dataset.yaml, and learnt from .* \(case a\)"),
        ("V", 3, r"Patient V is scored in .*other.dataset.yaml, and .* \(case v\)"),
        ("other", 1, r"The image of case c in .*other.dataset.yaml is that of case a in .*dataset"),
        ("other", 3, None),
    ],
)
def test_nobody_is_scored_who_was_learnt_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patient: str, seed: int, message: str | None
) -> None:
    def trained(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "finish_training", trained)
    other = tmp_path / "other"
    other.mkdir()
    case = {**write_case(other, "c", seed), "patient": patient}
    write_dataset(other, validation_patients=[], test_patients=["c"], cases=[case])
    path = write_comparison(tmp_path, test=["other/dataset.yaml"])
    cases = [write_case(tmp_path, "a", 1), write_case(tmp_path, "v", 2)]
    write_dataset(tmp_path, validation_patients=["v"], cases=cases)
    with pytest.raises(KeyboardInterrupt if message is None else TrainingError, match=message):
        compare(path, tmp_path / "out", device="cpu")


@pytest.mark.parametrize("what", ["initial weights", "weights", "auxiliary", "version"])
def test_a_finished_run_is_not_taken_for_one_of_another_start_or_other_structures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    path = write_comparison(tmp_path, seeds=[1], variants={"gdla": {}})
    plan = yaml.safe_load((tmp_path / "train.yaml").read_text("utf-8"))
    start = tmp_path / "start.safetensors"
    start.write_bytes(b"one")
    plan["initial_weights"] = start.name
    write_yaml(tmp_path / "train.yaml", plan)
    monkeypatch.setattr(runs, "train_plan", lambda *_, **__: None)

    def run_of() -> tuple[runs.Run, Any]:
        (run,) = runs.runs_of(read_comparison(path), tmp_path / "out")
        return run, read_dataset(run.plan.dataset)

    runs.finish_training(*run_of(), "cpu")
    runs.check_unchanged(*run_of())
    if what == "initial weights":
        del plan["initial_weights"]
        write_yaml(tmp_path / "train.yaml", plan)
    elif what == "weights":
        start.write_bytes(b"two")
    elif what == "version":
        monkeypatch.setattr(runs, "__version__", "0.0")
    else:
        write_dataset(tmp_path, validation_patients=[], test_patients=["b"], auxiliary=["colon"])
    with pytest.raises(TrainingError, match=r"changed since .*gdla-1"):
        runs.check_unchanged(*run_of())


def write_yaml(path: Path, data: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(data), encoding="utf-8")


@pytest.mark.parametrize("what", ["settings", "data"])
def test_a_run_is_not_continued_with_other_settings_or_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def stopped(*_: Any, **__: Any) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "train_plan", stopped)
    path = write_comparison(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        compare(path, tmp_path / "out", say=lambda line: None)
    if what == "settings":
        write_comparison(tmp_path, variants={"gdla": {"recipe": {"batch_size": 3}}})
    else:
        write_case(tmp_path, "a", seed=9)
    with pytest.raises(TrainingError, match=r"settings, the data or .* changed since .*gdla-1"):
        compare(path, tmp_path / "out", say=lambda line: None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": []}, r"`seeds` in .*comparison.yaml must be different whole numbers"),
        ({"seeds": [1, 1]}, r"`seeds` in .*comparison.yaml must be different whole numbers"),
        ({"seeds": [True]}, r"`seeds` in .*comparison.yaml must be different whole numbers"),
        ({"variants": {}}, r"`variants` in .*comparison.yaml must name at least one"),
        ({"variants": ["gdla"]}, r"`variants` in .*comparison.yaml must name at least one"),
        ({"variants": {"../x": {}}}, r"cannot be called '../x'"),
        ({"variants": {"a": {"cards": {}}}}, r"Variant a in .* has the unknown field cards"),
        ({"variants": {"a": {"recipe": 3}}}, r"`recipe` of variant a .* must hold named fields"),
        ({"variants": {"a": {"recipe": {"seed": 3}}}}, r"Variant a .* sets a seed of its own"),
        ({"variants": {"a": {"recipe": {"speed": 3}}}}, r"variant a has the unknown field speed"),
        ({"variants": {"a": {"recipe": {"batch_size": 0}}}}, r"`batch_size` in variant a must be"),
        (
            {"variants": {"a": {"card": {"architecture": {"mixer": "conv"}}}}},
            r"card of variant a is not valid: architecture.mixer must be one of gdla, ",
        ),
        ({"variants": {"a": {"card": {"size": 64}}}}, r"card of variant a is not valid: .*size"),
        ({"test": []}, r"`test` in .* must be a list of dataset files"),
        ({"test": ["none.yaml"]}, r"none.yaml cannot be read: No such file"),
        ({"plan": "none.yaml"}, r"none.yaml cannot be read: No such file"),
        ({"costs": {"sizes": [64]}}, r"`costs` in .* lacks the field encoders"),
        ({"costs": {"encoders": ["b9"], "sizes": [64]}}, r"`encoders` of `costs` .* b0, b1"),
        ({"costs": {"encoders": [["b0"]], "sizes": [64]}}, r"`encoders` of `costs` .* b0, b1"),
        ({"costs": {"encoders": "b0", "sizes": [64]}}, r"`encoders` of `costs` .* b0, b1"),
        ({"costs": {"encoders": ["b0"], "sizes": [48]}}, r"`sizes` .* multiples of 32"),
        (
            {"costs": {"encoders": ["b0"], "sizes": [64], "rounds": 0}},
            r"`rounds` of `costs` in .* from 1 to 1000, not \[0\]",
        ),
        ({"jobs": 2}, r"comparison.yaml has the unknown field jobs"),
    ],
)
def test_a_wrong_file_is_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        compare(write_comparison(tmp_path, **changes), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_dataset_that_holds_nobody_out_cannot_decide(tmp_path: Path) -> None:
    path = write_comparison(tmp_path)
    write_dataset(tmp_path)
    with pytest.raises(TrainingError, match=r"dataset.yaml has no test cases. Name who is held"):
        compare(path, tmp_path / "out")


def test_the_command_line_tells_in_a_sentence_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(tmp_path / "none.yaml"), "-o", str(tmp_path / "out")]) == 1
    assert "none.yaml cannot be read" in capsys.readouterr().err
