"""``gdla segment --confidence``: an image of percent, or an error before anything is done."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from command_line import ThresholdEngine, run_gdla
from phantom import GEOMETRIES, make_card, make_volume

from GDLACore.cli import segment as segment_command
from GDLACore.errors import OutputError
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.writing import write_confidence


class UnsureEngine(ThresholdEngine):
    """Surer the farther a value is from the middle of the window."""

    def predict_with_confidence(
        self, slices: np.ndarray, borders: str
    ) -> tuple[np.ndarray, np.ndarray]:
        return self.predict(slices, borders), np.abs(2 * slices[:, 0] - 1).astype(np.float16)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> UnsureEngine:
    engine = UnsureEngine(make_card())
    monkeypatch.setattr(segment_command, "load_engine", lambda *_, **__: engine)
    return engine


@pytest.mark.parametrize("ending", [".nrrd", ".nii.gz"])
def test_the_file_holds_percent_on_the_images_grid(tmp_path, ct, engine, capsys, ending):
    out, sure = tmp_path / "o.seg.nrrd", tmp_path / f"sure{ending}"
    assert run_gdla("segment", ct, "-o", out, "--confidence", sure) == 0
    assert f"Confidence:   {sure}" in capsys.readouterr().out.splitlines()
    image = read_volume(ct)
    written = read_volume(sure)
    assert written.array.dtype == np.uint8
    np.testing.assert_allclose(written.ijk_to_ras, image.ijk_to_ras, atol=1e-4)
    scaled = (image.array.clip(-160, 240) + 160.0) / 400
    expected = (np.abs(2 * scaled - 1) * 100).clip(1, 100)
    np.testing.assert_allclose(written.array, expected, atol=1)
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(out))).sum() == 8


def test_slices_that_were_not_asked_for_are_0(tmp_path, ct, engine):
    sure = tmp_path / "sure.nrrd"
    arguments = ("segment", ct, "-o", tmp_path / "o.nrrd", "--slices", "2:4", "--quiet")
    assert run_gdla(*arguments, "--confidence", sure) == 0
    written = read_volume(sure).array
    assert (written[2:4] > 0).all() and not written[:2].any() and not written[4:].any()


def test_json_names_the_file(tmp_path, ct, engine, capsys):
    out, sure = tmp_path / "o.nrrd", tmp_path / "sure.nrrd"
    assert run_gdla("segment", ct, "-o", out, "--confidence", sure, "--json") == 0
    assert json.loads(capsys.readouterr().out)["confidence"] == str(sure)
    assert run_gdla("segment", ct, "-o", out, "--force", "--json") == 0
    assert json.loads(capsys.readouterr().out)["confidence"] is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("sure.png", "does not say in which format to write"),
        ("sure.seg", "End the name with .nrrd or .nii.gz"),
        ("sure.seg.nrrd", "sure.seg.nrrd is a name for a segmentation"),
        ("SURE.SEG.NRRD", "with .nrrd or .nii.gz, without .seg before it"),
        ("missing/sure.nrrd", "does not exist"),
        ("there.nrrd", "exists already"),
        ("o.nrrd", "is to hold the segmentation"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_done(
    tmp_path, ct, engine, capsys, name, reason
):
    (tmp_path / "there.nrrd").write_text("mine")
    out = tmp_path / "o.nrrd"
    assert run_gdla("segment", ct, "-o", out, "--confidence", tmp_path / name) == 1
    assert reason in capsys.readouterr().err
    assert not engine.closed and not out.exists()
    assert (tmp_path / "there.nrrd").read_text() == "mine"


def test_the_image_is_not_written_over_even_by_force(tmp_path, ct, engine, capsys):
    scan = tmp_path / "scan.nii.gz"
    sitk.WriteImage(sitk.ReadImage(str(ct)), str(scan))
    before = scan.read_bytes()
    assert run_gdla("segment", scan, "-o", tmp_path / "o.nrrd", "--confidence", scan, "--force")
    assert "is an input" in capsys.readouterr().err
    assert scan.read_bytes() == before


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_every_voxel_comes_back_from_the_file_in_its_place(tmp_path, geometry):
    volume = make_volume(GEOMETRIES[geometry])
    sure = np.random.default_rng(3).random(volume.shape).astype(np.float16)
    for path in (tmp_path / "sure.nrrd", tmp_path / "sure.nii.gz"):
        back = read_volume(write_confidence(path, sure, volume))
        np.testing.assert_allclose(back.ijk_to_ras, volume.ijk_to_ras, atol=1e-3)
        np.testing.assert_allclose(back.array, 100 * sure.clip(0.01), atol=0.51)


def test_confidence_of_another_image_is_not_written(tmp_path: Path):
    sure = np.ones((2, 3, 4), np.float16)
    with pytest.raises(ValueError, match=r"\(2, 3, 4\) is not the grid \(6, 7, 8\)"):
        write_confidence(tmp_path / "sure.nrrd", sure, make_volume(np.eye(3)))
    with pytest.raises(OutputError, match="exists already"):
        (tmp_path / "sure.nrrd").write_text("mine")
        write_confidence(
            tmp_path / "sure.nrrd", np.ones((6, 7, 8), np.float16), make_volume(np.eye(3))
        )
