"""The ``gdla`` command: what it prints, writes, refuses and returns."""

from __future__ import annotations

import json
import os
import signal
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from command_line import SHAPE, ThresholdEngine, run_gdla
from phantom import make_card

from GDLACore import cli
from GDLACore.cli import segment as segment_command
from GDLACore.cli.options import slice_range
from GDLACore.errors import DeviceError


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ThresholdEngine:
    engine = ThresholdEngine(make_card())
    monkeypatch.setattr(segment_command, "load_engine", lambda *_, **__: engine)
    return engine


def test_a_ct_becomes_a_segmentation_and_a_table(tmp_path, ct, engine, capsys):
    out = tmp_path / "o.seg.nrrd"
    assert run_gdla("segment", ct, "-o", out) == 0
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(out))).sum() == 8
    printed = capsys.readouterr().out
    for text in ("liver", "spleen", "aorta", str(out), "clinical"):
        assert text in printed
    # On a line of its own: it may be a sentence that says why it is not the GPU.
    assert "Device:       CPU (test)" in printed.splitlines()
    assert engine.closed


def test_an_overlay_is_a_picture_beside_the_segmentation(tmp_path, ct, engine, capsys):
    pytest.importorskip("PIL")
    out, picture = tmp_path / "o.seg.nrrd", tmp_path / "o.png"
    assert run_gdla("segment", ct, "-o", out, "--overlay", picture) == 0
    assert out.exists() and picture.read_bytes().startswith(b"\x89PNG")
    assert str(picture) in capsys.readouterr().out


def test_json_is_one_object_with_everything(tmp_path, ct, engine, capsys):
    out = tmp_path / "o.nii.gz"
    assert run_gdla("segment", ct, "-o", out, "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["output"] == str(out)
    assert summary["device"] == "CPU (test)"
    assert summary["model"] == {"name": "abdomen", "version": "1.2", "sha256": None}
    assert summary["slices"] == [0, 6]
    assert {"reading", "loading", "segmenting", "writing"} <= summary["seconds"].keys()
    liver = summary["structures"][0]
    assert (liver["name"], liver["voxels"], liver["slices"]) == ("liver", 8, 2)
    assert liver["millilitres"] == pytest.approx(0.036)


def test_a_reference_adds_dice(tmp_path, ct, engine, capsys):
    reference = np.zeros(SHAPE, np.uint8)
    reference[1:3, 2:4, 3:5] = 40
    image = sitk.GetImageFromArray(reference)
    image.CopyInformation(sitk.ReadImage(str(ct)))
    sitk.WriteImage(image, str(tmp_path / "mask.nrrd"))
    (tmp_path / "mask.json").write_text('{"labels": {"40": {"name": "Liver"}}}')
    arguments = ("segment", ct, "--reference", tmp_path / "mask.nrrd")
    assert run_gdla(*arguments, "-o", tmp_path / "a.nii", "--json") == 0
    dice = [row["dice"] for row in json.loads(capsys.readouterr().out)["structures"]]
    assert dice == [1.0, None, None]
    assert run_gdla(*arguments, "-o", tmp_path / "b.nii") == 0
    assert "1.000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2:5", (2, 5)), (":3", (None, 3)), ("4:", (4, None)), (":", (None, None)), ("3", (3, 4))],
)
def test_slices_are_a_range_like_those_of_python(text, expected):
    assert slice_range(text) == expected


def test_only_the_slices_asked_for_are_segmented_and_measured(tmp_path, ct, engine, capsys):
    out = tmp_path / "o.nrrd"
    assert run_gdla("segment", ct, "-o", out, "--slices", "2:4", "--json") == 0
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(out)))
    assert labels.sum() == labels[2].sum() == 4
    assert json.loads(capsys.readouterr().out)["structures"][0]["voxels"] == 4


def test_slices_that_do_not_exist_are_named(tmp_path, ct, engine, capsys):
    assert run_gdla("segment", ct, "-o", tmp_path / "o.nrrd", "--slices", "2:90") == 1
    assert "0:6" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["segment"],
        ["segment", "ct.nii"],
        ["segment", "ct.nii", "-o", "o.nii", "--slices", "5:2"],
        ["segment", "ct.nii", "-o", "o.nii", "--slices=-3:2"],
        ["segment", "ct.nii", "-o", "o.nii", "--slices", "a:b"],
        ["segment", "ct.nii", "-o", "o.nii", "--batch", "0"],
        ["segment", "ct.nii", "-o", "o.nii", "--frame", "-1"],
        ["segment", "ct.nii", "-o", "o.nii", "--device", "tpu"],
    ],
)
def test_a_command_line_that_makes_no_sense_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "usage: gdla" in capsys.readouterr().err


def test_help_explains_the_exit_codes(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["segment", "--help"])
    assert ended.value.code == 0
    assert "130" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("ct.nii.gz", "is an input"),
        ("old.nii.gz", "exists"),
        ("o.jpg", "format"),
        ("missing/o.nii.gz", "does not exist"),
        ("folder.nii.gz", "is a folder"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_any_work(
    tmp_path, ct, monkeypatch, capsys, output, message
):
    def never(*_: object, **__: object) -> None:
        raise AssertionError("work was done")

    monkeypatch.setattr(segment_command, "read_volume", never)
    monkeypatch.setattr(segment_command, "load_engine", never)
    (tmp_path / "old.nii.gz").write_bytes(b"old")
    (tmp_path / "folder.nii.gz").mkdir()
    assert run_gdla("segment", ct, "-o", tmp_path / output) == 1
    error = capsys.readouterr().err
    assert error.startswith("gdla: error: ")
    assert message in error
    assert len(error.splitlines()) == 1


def test_force_replaces_an_old_result_but_never_an_input(tmp_path, ct, engine, capsys):
    out = tmp_path / "o.nii.gz"
    out.write_bytes(b"old")
    assert run_gdla("segment", ct, "-o", out, "--force") == 0
    assert sitk.ReadImage(str(out)).GetSize() == SHAPE[::-1]
    before = ct.read_bytes()
    assert run_gdla("segment", ct, "-o", ct, "--force") == 1
    assert ct.read_bytes() == before
    assert run_gdla("segment", ct, "-o", tmp_path / "n.nii", "--reference", out, "--force") == 0
    assert run_gdla("segment", ct, "-o", out, "--reference", out, "--force") == 1


def test_an_overlay_without_pillow_is_refused_before_any_work(tmp_path, ct, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    assert run_gdla("segment", ct, "-o", tmp_path / "o.nii", "--overlay", tmp_path / "o.png") == 1
    assert "pip install" in capsys.readouterr().err


def test_a_missing_image_is_told_in_one_sentence(tmp_path, engine, capsys):
    assert run_gdla("segment", tmp_path / "none.nii", "-o", tmp_path / "o.nii") == 1
    error = capsys.readouterr().err
    assert "none.nii" in error
    assert "Traceback" not in error


def test_the_error_of_an_engine_reaches_the_user_and_nothing_is_written(
    tmp_path, ct, engine, monkeypatch, capsys
):
    def fail(*_: object) -> None:
        raise DeviceError("The GPU is gone.", "Use --device cpu.")

    monkeypatch.setattr(engine, "predict", fail)
    assert run_gdla("segment", ct, "-o", tmp_path / "o.nii") == 1
    assert capsys.readouterr().err == "gdla: error: The GPU is gone. Use --device cpu.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["ct.nii.gz"]


def test_a_colour_picture_is_no_ct(tmp_path, engine, capsys):
    photo = np.random.default_rng(1).integers(0, 255, (20, 30, 3)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(photo, isVector=True), str(tmp_path / "p.png"))
    assert run_gdla("segment", tmp_path / "p.png", "-o", tmp_path / "o.nii") == 1
    assert "colour" in capsys.readouterr().err


def test_a_bug_is_one_line_too_and_debug_shows_where(tmp_path, ct, engine, monkeypatch, capsys):
    monkeypatch.setattr(engine, "predict", lambda *_: 1 / 0)
    assert run_gdla("segment", ct, "-o", tmp_path / "o.nii") == 1
    error = capsys.readouterr().err
    assert "ZeroDivisionError" in error
    assert "--debug" in error
    with pytest.raises(ZeroDivisionError):
        run_gdla("segment", ct, "-o", tmp_path / "o.nii", "--debug")


def test_ctrl_c_ends_with_130_and_leaves_the_old_result(tmp_path, ct, engine, monkeypatch, capsys):
    out = tmp_path / "o.seg.nrrd"
    out.write_bytes(b"old")
    monkeypatch.setattr(engine, "predict", lambda *_: signal.raise_signal(signal.SIGINT))
    assert run_gdla("segment", ct, "-o", out, "--force") == 130
    assert capsys.readouterr().err == "gdla: stopped\n"
    assert out.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct.nii.gz", "o.seg.nrrd"]


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot ask a process to end")
@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_being_asked_to_end_while_writing_leaves_the_old_result(
    tmp_path, ct, engine, monkeypatch, name, status
):
    out = tmp_path / "o.nii"
    out.write_bytes(b"old")
    number = getattr(signal, name)
    before = signal.getsignal(number)
    monkeypatch.setattr("GDLACore.atomic.os.fsync", lambda _: signal.raise_signal(number))
    with pytest.raises(SystemExit) as ended:
        run_gdla("segment", ct, "-o", out, "--force")
    assert ended.value.code == status
    assert signal.getsignal(number) is before
    assert out.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct.nii.gz", "o.nii"]


def test_a_reference_that_says_nothing_of_its_values_is_warned_of(tmp_path, ct, engine, capsys):
    image = sitk.ReadImage(str(ct))
    sitk.WriteImage(sitk.Cast(image > 0, sitk.sitkUInt8), str(tmp_path / "mask.nii.gz"))
    assert (
        run_gdla("segment", ct, "-o", tmp_path / "o.nii", "--reference", tmp_path / "mask.nii.gz")
        == 0
    )
    assert "has no mask.json beside it" in capsys.readouterr().err


def test_ctrl_c_while_writing_leaves_the_old_result(tmp_path, ct, engine, monkeypatch, capsys):
    out = tmp_path / "o.nii"
    out.write_bytes(b"old")
    monkeypatch.setattr("GDLACore.atomic.os.fsync", lambda _: signal.raise_signal(signal.SIGINT))
    assert run_gdla("segment", ct, "-o", out, "--force") == 130
    assert out.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct.nii.gz", "o.nii"]


def test_quiet_prints_nothing(tmp_path, ct, engine, capsys):
    assert run_gdla("segment", ct, "-o", tmp_path / "o.nii", "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_warnings_go_to_stderr_and_leave_json_intact(tmp_path, engine, capsys):
    array = np.zeros(SHAPE, np.float32)
    array[0, 0, 0] = np.nan
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / "ct.nrrd"))
    assert run_gdla("segment", tmp_path / "ct.nrrd", "-o", tmp_path / "o.nii", "--json") == 0
    printed = capsys.readouterr()
    json.loads(printed.out)
    assert printed.err.startswith("gdla: warning: ")


def test_a_terminal_sees_progress_and_a_pipe_does_not(tmp_path, ct, engine, capsys, monkeypatch):
    pytest.importorskip("rich")
    assert run_gdla("segment", ct, "-o", tmp_path / "a.nii") == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    assert run_gdla("segment", ct, "-o", tmp_path / "b.nii") == 0
    assert "Segmenting" in capsys.readouterr().err


def test_without_rich_the_table_is_plain_text(tmp_path, ct, engine, capsys, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "rich"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert run_gdla("segment", ct, "-o", tmp_path / "o.nii") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["Structure", "Voxels", "mL", "Slices"]
    assert lines[2].split() == ["liver", "8", "0.0", "2"]
