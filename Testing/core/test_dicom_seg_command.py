"""``gdla segment`` with DICOM in and DICOM out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from command_line import ThresholdEngine, run_gdla
from dicom_objects import SERIES, pictures, segment_frames, write_images
from phantom import make_card

from GDLACore.cli import segment as segment_command


class UnaskedEngine(ThresholdEngine):
    """Fails the test that has anything computed."""

    def predict(self, slices: np.ndarray, borders: str) -> np.ndarray:
        raise AssertionError("something was computed")


@pytest.fixture(autouse=True)
def highdicom() -> None:
    pytest.importorskip("highdicom")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ThresholdEngine:
    return loaded(monkeypatch, ThresholdEngine(make_card()))


@pytest.fixture
def unasked(monkeypatch: pytest.MonkeyPatch) -> ThresholdEngine:
    return loaded(monkeypatch, UnaskedEngine(make_card()))


def loaded(monkeypatch: pytest.MonkeyPatch, engine: ThresholdEngine) -> ThresholdEngine:
    monkeypatch.setattr(segment_command, "load_engine", lambda *_, **__: engine)
    return engine


def test_a_series_becomes_a_segmentation_and_a_report(tmp_path, engine, capsys):
    source = write_images(tmp_path / "ct")
    seg, report = tmp_path / "seg.dcm", tmp_path / "sr.dcm"
    assert run_gdla("segment", source, "-o", seg, "--sr", report, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["output"], told["report"]) == (str(seg), str(report))
    # The engine calls what is above 40 HU liver.
    expected = sum(np.count_nonzero(p.pixels > 1024 + 40) for p in pictures(source))
    found = [frame.picture.pixels.sum() for frame in segment_frames(seg)]
    assert sum(found) == expected == told["structures"][0]["voxels"] > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct", "seg.dcm", "sr.dcm"]


def test_the_report_is_named_in_the_table(tmp_path, engine, capsys):
    source, report = write_images(tmp_path / "ct"), tmp_path / "sr.dcm"
    assert run_gdla("segment", source, "-o", tmp_path / "seg.dcm", "--sr", report) == 0
    assert f"Report:       {report}" in capsys.readouterr().out.splitlines()


def test_an_image_that_is_not_dicom_is_refused_before_anything_is_computed(
    tmp_path, ct, unasked, capsys
):
    assert run_gdla("segment", ct, "-o", tmp_path / "seg.dcm") == 1
    assert "not read from DICOM" in capsys.readouterr().err
    assert not (tmp_path / "seg.dcm").exists()


def test_slices_that_are_missing_are_said_before_anything_is_computed(tmp_path, unasked, capsys):
    source = write_images(tmp_path / "ct", *SERIES["a slice missing"])
    arguments = ("segment", source, "-o", tmp_path / "seg.dcm", "--sr", tmp_path / "sr.dcm")
    assert run_gdla(*arguments) == 1
    assert "missing or unevenly spaced" in capsys.readouterr().err


@pytest.mark.parametrize(
    "output, options, complaint",
    [
        ("seg.nrrd", ("--sr", "sr.dcm"), "is not a DICOM segmentation"),
        ("seg.dcm", ("--sr", "sr.txt"), "End the name with .dcm"),
        ("seg.dcm", ("--sr", "seg.dcm"), "is to hold the segmentation"),
        ("seg.dcm", ("--sr", "sr.dcm", "--slices", "1:3"), "volumes of parts"),
        ("seg.dcm", ("--sr", "there.dcm"), "there.dcm exists already"),
        ("there.dcm", (), "there.dcm exists already"),
    ],
)
def test_outputs_that_do_not_fit_are_refused(
    tmp_path, unasked, monkeypatch, capsys, output, options, complaint
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.dcm").write_bytes(b"earlier")
    write_images(tmp_path / "ct")
    assert run_gdla("segment", "ct", "-o", output, *options) == 1
    assert complaint in capsys.readouterr().err
    assert (tmp_path / "there.dcm").read_bytes() == b"earlier"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ct", "there.dcm"]


def test_an_image_of_the_series_is_never_written_over(tmp_path, unasked, capsys):
    source = write_images(tmp_path / "ct")
    image = next(source.iterdir())
    before = image.read_bytes()
    assert run_gdla("segment", source, "-o", image, "--force") == 1
    assert "is an input" in capsys.readouterr().err
    assert image.read_bytes() == before


def test_its_own_output_among_the_images_is_none_of_them(tmp_path, engine):
    source = write_images(tmp_path / "ct")
    for number in range(2):
        out, report = source / f"seg{number}.dcm", source / f"sr{number}.dcm"
        assert run_gdla("segment", source, "-o", out, "--sr", report) == 0
    first, second = (segment_frames(source / f"seg{n}.dcm") for n in range(2))
    assert [f.source_uid for f in first] == [f.source_uid for f in second]
