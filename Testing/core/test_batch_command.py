"""``gdla batch``: what it prints, refuses and returns."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("PIL")
from cohorts import BrightEngine, process_here, use_engine, write_cohort, write_study
from command_line import run_gdla
from dicom_files import values, write_series
from phantom import make_card

from GDLACore.cli import batch as command
from GDLACore.cli import batch_parser
from GDLACore.cohort import settings as settings_module
from GDLACore.errors import GDLAError


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> BrightEngine:
    engine = BrightEngine(make_card())
    use_engine(monkeypatch, engine)
    monkeypatch.setattr(command, "model_card", lambda settings: engine.card)
    monkeypatch.setattr(command, "local_process", process_here)
    return engine


def test_a_cohort_is_segmented_and_told(tmp_path, engine, capsys):
    write_study(tmp_path / "in/a.nii.gz")
    assert run_gdla("batch", tmp_path / "in", "-o", tmp_path / "out") == 0
    printed = capsys.readouterr().out
    for words in ("1 studies segmented", str(tmp_path / "out/qc.html"), "clinical"):
        assert words in printed
    assert run_gdla("batch", tmp_path / "in", "-o", tmp_path / "out") == 0
    assert "1 of them before" in capsys.readouterr().out


def test_a_failed_study_is_told_and_makes_the_status_1(tmp_path, engine, capsys):
    write_cohort(tmp_path / "in", 2)
    assert run_gdla("batch", tmp_path / "in", "-o", tmp_path / "out", "--json") == 1
    told = capsys.readouterr()
    summary = json.loads(told.out)
    assert (summary["studies"], summary["done"], summary["kept"]) == (3, 2, 0)
    assert [one["name"] for one in summary["failed"]] == ["site0/broken"]
    assert "1 of 3 studies could not be segmented" in told.err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_text_is_told_with_backslashes(tmp_path, engine, capfdbinary):
    write_study(tmp_path / "in/x.nii.gz").rename(tmp_path / "in/b\udcff.nii.gz")
    assert run_gdla("batch", tmp_path / "in", "-o", tmp_path / "out") == 1
    assert b"Failed: b\\udcff: " in capfdbinary.readouterr().out


def test_quiet_says_nothing(tmp_path, engine, capsys):
    write_study(tmp_path / "in/a.nii.gz")
    assert run_gdla("batch", tmp_path / "in", "-o", tmp_path / "out", "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_several_inputs_and_relative_paths(tmp_path, engine, monkeypatch, capsys):
    for name in ("p1", "p2"):
        write_study(tmp_path / name / "ct.nii.gz")
    monkeypatch.chdir(tmp_path)
    assert run_gdla("batch", "p1", "p2", "-o", "out") == 0
    assert (tmp_path / "out/segmentations/p2/ct.seg.nrrd").exists()


def test_results_within_the_input_are_no_studies_the_next_time(tmp_path, engine, capsys):
    write_study(tmp_path / "a.nii.gz")
    options = ("-o", tmp_path / "out", "--format", "nii.gz", "--json")
    for _ in range(2):
        assert run_gdla("batch", tmp_path, *options) == 0
        assert json.loads(capsys.readouterr().out)["studies"] == 1


@pytest.mark.parametrize("output", [".", "in", "in/../in"])
def test_the_input_cannot_be_the_output(tmp_path, engine, capsys, monkeypatch, output):
    write_study(tmp_path / "in/a.nii.gz")
    monkeypatch.chdir(tmp_path)
    inputs = "." if output == "." else "in"
    assert run_gdla("batch", inputs, "-o", output) == 1
    assert "is an input" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.nii.gz", "in"]


def test_an_input_within_the_results_is_refused(tmp_path, engine, capsys):
    path = write_study(tmp_path / "out/segmentations/a.nii.gz")
    for given in (path, path.parent):
        assert run_gdla("batch", given, "-o", tmp_path / "out", "--force") == 1
        assert "where results are replaced" in capsys.readouterr().err
    assert [one.name for one in (tmp_path / "out").rglob("*")] == ["segmentations", "a.nii.gz"]


def test_what_cannot_be_done_at_all_is_refused_before_a_folder_is_made(tmp_path, engine, capsys):
    write_study(tmp_path / "in/a.nii.gz")
    out = tmp_path / "out"
    for arguments, words in (
        ((tmp_path / "nowhere", "-o", out), "no file or folder"),
        ((tmp_path / "in", "-o", out, "--ca-file", "x.pem"), "without a server"),
    ):
        assert run_gdla("batch", *arguments) == 1
        assert words in capsys.readouterr().err
    assert not out.exists()


def test_results_cannot_go_into_a_file(tmp_path, engine, capsys):
    image = write_study(tmp_path / "in/a.nii.gz")
    path = write_study(tmp_path / "before.nii.gz")
    before = path.read_bytes()
    assert run_gdla("batch", image, "-o", path) == 1
    assert f"{path} is a file, not a folder." in capsys.readouterr().err
    assert path.read_bytes() == before


@pytest.mark.parametrize("format_", ["dcm", "nii.gz"])
def test_images_that_cannot_become_dicom_are_counted_before_the_start(
    tmp_path, engine, monkeypatch, capsys, format_
):
    def stop(*_arguments: object, **_options: object) -> None:
        raise GDLAError("It would start now.", "")

    if format_ == "dcm":
        pytest.importorskip("highdicom")

    write_study(tmp_path / "in/a.nii.gz")
    write_study(tmp_path / "in/b.nii.gz")
    write_series(tmp_path / "in/series", values())
    monkeypatch.setattr(command, "run_batch", stop)
    run_gdla("batch", tmp_path / "in", "-o", tmp_path / "out", "--format", format_)
    told, _, error = capsys.readouterr().err.partition("gdla: error: ")
    words = "warning: 2 of 3 studies are not DICOM, such as a, and will fail"
    assert (words in told) == (format_ == "dcm") and error.startswith("It would start now.")


def test_an_unknown_model_is_refused_first(tmp_path, capsys):
    write_study(tmp_path / "in/a.nii.gz")
    out = tmp_path / "out"
    assert run_gdla("batch", tmp_path / "in", "-o", out, "--model", "demo-tc") == 1
    assert "demo-ct" in capsys.readouterr().err and not out.exists()


def test_without_pillow_it_says_so_first(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    assert run_gdla("batch", tmp_path, "-o", tmp_path / "out") == 1
    assert "pip install pillow" in capsys.readouterr().err


def test_without_highdicom_dicom_segmentations_are_refused_first(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    assert run_gdla("batch", tmp_path, "-o", tmp_path / "out", "--format", "dcm") == 1
    assert "pip install highdicom" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_the_formats_of_the_command_line_are_those_there_are():
    assert batch_parser.FORMATS == settings_module.FORMATS


def test_files_mean_the_same_to_workers_elsewhere(tmp_path, engine, monkeypatch):
    write_study(tmp_path / "in/a.nii.gz")
    (tmp_path / "m.onnx").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    seen = []

    def watched(settings):
        seen.append(settings)
        return engine.card

    monkeypatch.setattr(command, "model_card", watched)
    server = ("--server", "https://gpu.example", "--ca-file", "ca.pem")
    assert run_gdla("batch", "in", "-o", "out", "--model", "m.onnx", *server) == 0
    (settings,) = seen
    assert Path(settings.model) == tmp_path / "m.onnx" and settings.output == tmp_path / "out"
    assert Path(settings.server.ca_file) == tmp_path / "ca.pem"
