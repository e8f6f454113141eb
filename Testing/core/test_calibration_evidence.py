"""`gdla calibrate` on volumes from which nothing can be learned."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from abdomen import make_abdomen
from command_line import run_gdla

from GDLACore.calibration.certainty import Lead
from GDLACore.calibration.evidence import obstacle
from GDLACore.calibration.label_order import IMPLAUSIBLE, LabelOrderVerdict, judge_labels
from GDLACore.calibration.organs import KNOWN_ORDERS
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import IntensityProfile
from GDLACore.model.catalogue import find
from GDLACore.resources import resource_path

SYNAPSE = find("synapse").card
SAMPLE = resource_path("samples", "ct-abdomen-dicom")


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """A volume that shows no anatomy, in no Hounsfield units, and does not say what it is."""
    path = tmp_path / "mr.nii.gz"
    array = np.random.default_rng(0).integers(0, 400, (4, 64, 64)).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    return path


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """A card that feeds the demonstration model in another way than it was taught."""
    path = tmp_path / "wrong.json"
    card = find("demo-ct").card
    zscore = IntensityProfile("zscore_volume")
    path.write_text(dataclasses.replace(card, view="rotate_90", intensity=zscore).to_json())
    return path


def calibrate(*arguments: object) -> int:
    return run_gdla("calibrate", "demo-ct", *arguments, "--sample", "2", "--device", "cpu")


def test_noise_changes_no_card_and_the_user_is_told_what_to_choose(
    noise: Path, wrong: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(noise, "--card", wrong) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Change the card" not in text and "use this" not in text
    assert "It cannot be told on this volume how the model is to be fed. Choose a CT" in text
    assert "View: Which view is right cannot be told on this volume" in text
    assert text.split("Next: ")[1].startswith("gdla segment")


def test_no_card_is_written_where_nothing_was_found(
    noise: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(noise, "-o", tmp_path / "found.json", "--quiet") == 1
    caught = capsys.readouterr()
    assert caught.out == "" and caught.err.count("gdla: error:") == 1
    assert "so no card was written" in caught.err and "4 of these: " in caught.err
    assert not (tmp_path / "found.json").exists()


def test_the_card_that_is_read_is_not_written_over_even_if_asked_for(
    wrong: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = wrong.read_bytes()
    assert calibrate(SAMPLE, "--card", wrong, "-o", wrong, "--force") == 1
    assert "is an input" in capsys.readouterr().err and wrong.read_bytes() == before


def volume(lowest: float, modality: str | None = None) -> Volume:
    return Volume(np.array([[[lowest, 300.0]]], np.float32), np.eye(4), "volume", modality)


def test_organs_in_their_places_outweigh_values_that_are_unlike_a_ct() -> None:
    abdomen = make_abdomen(KNOWN_ORDERS["TransUNet"])
    verdict = judge_labels(abdomen.labels, abdomen.ijk_to_ras, SYNAPSE)
    assert obstacle(volume(0), SYNAPSE, verdict) is None


def test_shapes_that_do_not_lie_like_organs_are_no_evidence_in_values_unlike_a_ct() -> None:
    implausible = LabelOrderVerdict(IMPLAUSIBLE, None, "", (), {})
    assert "lie like organs" in obstacle(volume(0), SYNAPSE, implausible).reason
    # In a CT they may be other labels than the card's, and the view may be told all the same.
    assert obstacle(volume(-1000), SYNAPSE, implausible) is None


@pytest.mark.parametrize(
    ("lowest", "modality", "tells"), [(-1000, None, True), (0, "CT", True), (0, None, False)]
)
def test_without_known_organs_the_values_decide(
    lowest: float, modality: str | None, tells: bool
) -> None:
    found = obstacle(volume(lowest, modality), SYNAPSE, None)
    assert (found is None) is tells


def test_other_images_than_ct_need_no_hounsfield_units() -> None:
    assert obstacle(volume(0), find("acdc").card, None) is None


def test_a_small_lead_that_two_slices_agree_on_is_not_clear() -> None:
    assert not Lead(0.02, 0.001, 2).clear
    assert Lead(0.02, 0.001, 12).clear and Lead(0.05, 0.001, 2).clear
