"""From a wrong card to a right segmentation, by typing what `gdla calibrate` says."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import SimpleITK as sitk
from command_line import run_gdla
from model_files import write_checkpoint, write_safetensors

from GDLACore.cli import segment as command
from GDLACore.export.model_file import write_onnx_model
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.volume import sitk_geometry
from GDLACore.model.card import IntensityProfile, ModelCard
from GDLACore.pipeline import segment_volume
from GDLACore.resources import resource_path
from GDLACore.weights.loading import ModelWeights, load_weights

CPU = ("--device", "cpu", "--threads", "1", "--sample", "2")

pytestmark = pytest.mark.skipif(os.name == "nt", reason="quotes are those of a POSIX shell")


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Three slices of the CT that ships, in the working folder, with a name that needs quotes."""
    sample = read_volume(resource_path("samples", "ct-abdomen-dicom"))
    part = sitk.GetImageFromArray(sample.array[9:12])
    origin, spacing, direction = sitk_geometry(sample.ijk_to_ras)
    part.SetOrigin(origin)
    part.SetSpacing(spacing)
    part.SetDirection(direction)
    monkeypatch.chdir(tmp_path)
    sitk.WriteImage(part, "three slices.nrrd")
    return "three slices.nrrd"


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[ModelCard]:
    """The cards that segmentations are made with."""
    cards: list[ModelCard] = []

    def recorded(volume: object, engine: object, *rest: object) -> object:
        cards.append(engine.card)
        return segment_volume(volume, engine, *rest)

    monkeypatch.setattr(command, "segment_volume", recorded)
    return cards


def wrong_card(weights: ModelWeights) -> ModelCard:
    """Return a card for the demonstration model that is wrong about how it is fed."""
    zscore = IntensityProfile("zscore_volume")
    return dataclasses.replace(weights.card, view="rotate_90", intensity=zscore, sha256=None)


def next_words(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the command that was printed last, without "gdla"."""
    last = capsys.readouterr().out.splitlines()[-1]
    name, program, *words = shlex.split(last)
    assert (name, program) == ("Next:", "gdla")
    return words


def test_what_is_printed_leads_to_a_segmentation_with_the_card_that_was_found(
    image: str, used: list[ModelCard], capsys: pytest.CaptureFixture[str]
) -> None:
    weights = load_weights("demo-ct")
    write_checkpoint(Path("theirs.ckpt"), weights.tensors, wrong_card(weights))
    assert run_gdla("calibrate", "theirs.ckpt", image, *CPU) == 0
    writing = next_words(capsys)
    assert writing[0] == "calibrate" and not Path("theirs.calibrated.json").exists()
    assert run_gdla(*writing) == 0
    segmenting = next_words(capsys)
    assert segmenting[0] == "segment" and run_gdla(*segmenting) == 0
    written = ModelCard.from_json(Path("theirs.calibrated.json").read_bytes())
    assert (written.view, written.intensity.kind) == ("identity", "ct_window")
    assert used == [written] == [load_weights("theirs.ckpt", "theirs.calibrated.json").card]
    assert read_volume(Path("three slices.seg.nrrd")).array.max() > 0


def as_safetensors(weights: ModelWeights) -> Path:
    return write_safetensors(Path("theirs.safetensors"), weights.tensors, wrong_card(weights))


def as_onnx(weights: ModelWeights) -> Path:
    model = dataclasses.replace(weights, card=wrong_card(weights))
    return write_onnx_model(Path("theirs.onnx"), model)


@pytest.mark.parametrize("make", [as_safetensors, as_onnx])
def test_a_calibrated_card_takes_the_place_of_the_one_inside_a_model(
    make: Callable[[ModelWeights], Path],
    image: str,
    used: list[ModelCard],
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = make(load_weights("demo-ct"))
    assert run_gdla("calibrate", model, image, *CPU, "-o", "found.json") == 0
    assert run_gdla(*next_words(capsys)) == 0
    written = ModelCard.from_json(Path("found.json").read_bytes())
    assert written.view == "identity"
    assert [dataclasses.replace(card, sha256=None) for card in used] == [written]


def test_a_calibrated_card_calibrates_to_itself(
    image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = load_weights("demo-ct")
    write_checkpoint(Path("theirs.ckpt"), weights.tensors, wrong_card(weights))
    assert run_gdla("calibrate", "theirs.ckpt", image, *CPU, "-o", "one.json") == 0
    capsys.readouterr()
    again = ("calibrate", "theirs.ckpt", image, *CPU, "--card", "one.json", "-o", "two.json")
    assert run_gdla(*again) == 0
    assert "Keep the card" in capsys.readouterr().out
    assert Path("one.json").read_bytes() == Path("two.json").read_bytes()
