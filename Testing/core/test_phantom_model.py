"""From a folder of pictures to a segmentation in Slicer's format: the way of a user's own data.

The models here learn drawn pictures. They are called phantom models and ship with nothing.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from lesion_phantoms import write_dermoscopy, write_photographs, write_ultrasound

pytest.importorskip("torch")
pytest.importorskip("yaml")

import yaml

from GDLACore.cli import main
from GDLACore.imaging.reading import read_labels
from GDLACore.model.card import Architecture, ModelCard
from GDLACore.model.catalogue import find
from GDLACore.training.command import train
from GDLACore.training.dataset import read_dataset

STRUCTURE = "Phantom lesion"
HELD_OUT = range(100, 104)


def _phantom_card(data_set: str) -> ModelCard:
    """Return a card that feeds pictures as ``data_set``'s model does, and says what it is."""
    card = find(data_set).card
    return dataclasses.replace(
        card,
        name="phantom-lesion",
        title="Drawn lesions (phantom model, for tests)",
        architecture=Architecture("b0", "gdla"),
        input_size=64,
        labels=tuple(dataclasses.replace(label, name=STRUCTURE) for label in card.labels),
        provenance=dataclasses.replace(
            card.provenance,
            source="A test",
            training_data="Drawn pictures, of nobody",
            licence="Apache-2.0",
            intended_use="Tests of this software, and nothing else.",
            caveats=("A phantom model: it has never seen a patient.",),
        ),
    )


@dataclasses.dataclass(frozen=True)
class PhantomModel:
    """A folder with a dataset and the exported model that learnt from it."""

    data_set: str
    folder: Path

    @property
    def dataset(self) -> Path:
        return self.folder / "dataset.yaml"

    @property
    def model(self) -> str:
        return str(self.folder / "phantom-lesion.onnx")


WRITERS = {"busi": write_ultrasound, "ham10000": write_photographs, "ph2": write_dermoscopy}


@pytest.fixture(scope="module", params=["busi", "ph2"])
def phantom(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> PhantomModel:
    phantom = PhantomModel(request.param, tmp_path_factory.mktemp(request.param))
    trained = train(_write_plan(phantom), phantom.folder / "run", device="cpu")
    assert main(["export", str(trained), "-o", phantom.model]) == 0
    return phantom


def _write_dataset(folder: Path, layout: str, *, learnt: int) -> Path:
    """Write ``learnt`` pictures and those held out; return the dataset file."""
    write = WRITERS[layout]
    write(folder / "pictures", range(learnt))
    dataset = {
        "layout": layout,
        "folder": "pictures",
        "structures": [STRUCTURE],
        "test_patients": write(folder / "pictures", HELD_OUT),
    }
    path = folder / "dataset.yaml"
    path.write_text(yaml.safe_dump(dataset), encoding="utf-8")
    return path


def _write_plan(phantom: PhantomModel) -> Path:
    """Write dataset, card and training file; return the training file."""
    dataset = _write_dataset(phantom.folder, phantom.data_set, learnt=24)
    card = phantom.folder / "card.json"
    card.write_text(_phantom_card(phantom.data_set).to_json(), encoding="utf-8")
    recipe = {
        "preset": f"{phantom.data_set}-better",
        "batch_size": 4,
        "iterations": 60,
        "warm_up": 5,
        "learning_rate": 2e-3,
        "cross_entropy": 1.0,
        "supervision_stride": 4,
        "average": None,
        "precision": "fp32",
        "validate_every": 60,
    }
    plan = {"card": card.name, "dataset": dataset.name, "recipe": recipe}
    path = phantom.folder / "train.yaml"
    path.write_text(yaml.safe_dump(plan), encoding="utf-8")
    return path


def _evaluated(dataset: Path, model: str, report: Path) -> dict[str, float]:
    """Return the Dice of every case in the report that ``gdla evaluate`` writes."""
    arguments = [str(dataset), "--model", model, "--split", "test", "--device", "cpu"]
    assert main(["evaluate", *arguments, "-o", str(report)]) == 0
    scores = json.loads((report / "scores.json").read_text(encoding="utf-8"))["scores"]
    return {row["case"]: row["scores"]["dice"] for row in scores}


@pytest.mark.slow
def test_a_drawn_lesion_is_found_in_a_picture_that_was_held_out(
    phantom: PhantomModel, tmp_path: Path
) -> None:
    dataset = read_dataset(phantom.dataset)
    case = dataset.test[0]
    result = tmp_path / "lesion.seg.nrrd"
    arguments = [str(case.image), "-o", str(result), "--model", phantom.model, "--device", "cpu"]
    assert main(["segment", *arguments, "--runtime", "onnx"]) == 0
    picture, truth = dataset.read(case)
    found = read_labels(result, picture)
    both = np.count_nonzero(found & truth)
    assert 2 * both / (np.count_nonzero(found) + np.count_nonzero(truth)) > 0.8
    header = sitk.ReadImage(str(result))
    assert header.GetMetaData("Segment0_Name") == STRUCTURE
    assert "phantom-lesion" in "".join(map(header.GetMetaData, header.GetMetaDataKeys()))


@pytest.mark.slow
def test_the_pictures_held_out_are_scored(phantom: PhantomModel, tmp_path: Path) -> None:
    dice = _evaluated(phantom.dataset, phantom.model, tmp_path / "report")
    assert dice.keys() == {case.id for case in read_dataset(phantom.dataset).test}
    assert min(dice.values()) > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("phantom", ["ph2"], indirect=True)
def test_a_model_is_scored_on_pictures_in_another_layout_than_it_learnt(
    phantom: PhantomModel, tmp_path: Path
) -> None:
    dataset = _write_dataset(tmp_path, "ham10000", learnt=1)
    dice = _evaluated(dataset, phantom.model, tmp_path / "report")
    assert len(dice) == len(HELD_OUT) and min(dice.values()) > 0.8
