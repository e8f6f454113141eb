"""`gdla calibrate`: what is found, told and written, with the demonstration model and stand-ins."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from abdomen import card_in_order, make_abdomen
from command_line import run_gdla
from template_engine import SIDE, TemplateEngine, picture

from GDLACore.calibration.findings import Findings, calibrate, calibrated_card
from GDLACore.calibration.label_order import ANOTHER_ORDER, PLAUSIBLE
from GDLACore.calibration.organs import KNOWN_ORDERS
from GDLACore.cli import calibrate as command
from GDLACore.imaging.view import slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import IntensityProfile, ModelCard
from GDLACore.model.catalogue import find
from GDLACore.pipeline import Progress
from GDLACore.resources import resource_path
from GDLACore.weights import loading
from GDLACore.weights.loading import load_weights

SAMPLE = resource_path("samples", "ct-abdomen-dicom")
SYNAPSE = dataclasses.replace(find("synapse").card, input_size=SIDE)


class OrganEngine(TemplateEngine):
    """Returns an abdomen's labels slice by slice, in the order they are asked for."""

    def __init__(self, card: ModelCard, labels: np.ndarray) -> None:
        super().__init__(card)
        self.batch_size = 1
        self.labels = iter(labels)
        self.segmented_as: set[tuple[str, IntensityProfile]] = set()

    def _likeness(self, image: np.ndarray) -> float:
        return float(self.card.intensity.kind == "ct_window")

    def _labels(self, slices: np.ndarray, borders: str) -> np.ndarray:
        self.segmented_as.add((self.card.view, self.card.intensity))
        return next(self.labels)[None]


def organ_findings(order: str, count: int = 100) -> tuple[Findings, OrganEngine]:
    """Return what is found where the network's labels are in ``order`` and the card's are not."""
    small = make_abdomen(KNOWN_ORDERS[order])
    # The volume has more slices than are segmented: every second or third is left out.
    indices = np.linspace(0, len(small.labels) - 1, count).astype(int)
    matrix = small.ijk_to_ras.copy()
    matrix[:3, 2] *= len(small.labels) / count
    rows, columns = small.labels.shape[1:]
    array = np.zeros((count, rows, columns), np.int16)
    array[:, 5:-5, 5:-5] = 100
    volume = Volume(array, matrix, "abdomen", "CT")
    step = -(-count // 40)
    view = slice_view(volume, "axial", SYNAPSE.view)
    engine = OrganEngine(SYNAPSE, view.take(small.labels[indices], range(0, count, step)))
    engine._scores = lambda slices: np.zeros((len(slices), 9, SIDE, SIDE), np.float32)
    return calibrate(volume, engine, None, slices=2), engine


@pytest.mark.parametrize("order", KNOWN_ORDERS)
def test_the_label_order_is_judged_on_a_part_of_a_long_scan(order: str) -> None:
    findings, engine = organ_findings(order)
    assert findings.label_order.order == order
    assert next(engine.labels, None) is None, "all slices taken, and no more"
    assert engine.segmented_as == {(SYNAPSE.view, SYNAPSE.intensity)}
    assert engine.card is SYNAPSE
    assert findings.inputs is None and findings.statistics is None


@pytest.mark.parametrize("order", KNOWN_ORDERS)
def test_the_card_that_is_written_has_the_order_that_was_found(order: str) -> None:
    findings, _ = organ_findings(order)
    card = calibrated_card(findings)
    assert card.labels == card_in_order(SYNAPSE, KNOWN_ORDERS[order]).labels
    assert card.provenance.caveats[:-1] == SYNAPSE.provenance.caveats
    assert "gdla calibrate" in card.provenance.caveats[-1]
    again = calibrated_card(dataclasses.replace(findings, card=card, label_order=None))
    assert again == card, "the caveat is added once"
    assert ModelCard.from_json(card.to_json()) == card


def test_models_of_other_things_than_these_organs_are_not_judged_by_them() -> None:
    card = dataclasses.replace(find("acdc").card, input_size=SIDE)
    array = np.stack([(1000 * picture(seed)).astype(np.int16) for seed in range(3)])
    told: list[Progress] = []
    volume = Volume(array, np.eye(4), "heart", "MR")
    findings = calibrate(volume, TemplateEngine(card), None, slices=3, on_progress=told.append)
    assert findings.label_order is None
    assert {progress.phase for progress in told} == {"trying"}
    assert told[-1].done == told[-1].total == 3 * 8 * 2


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """The demonstration model as a checkpoint, beside it a card that is wrong about its feeding."""
    torch = pytest.importorskip("torch")
    weights = load_weights("demo-ct")
    path = tmp_path / "unknown.ckpt"
    tensors = {name: torch.from_numpy(value) for name, value in weights.tensors.items()}
    torch.save({"model_state_dict": tensors}, path)
    wrong = dataclasses.replace(
        weights.card, view="rotate_90", intensity=IntensityProfile("zscore_volume"), sha256=None
    )
    path.with_suffix(".card.json").write_text(wrong.to_json())
    return path


def test_an_unknown_checkpoint_is_calibrated_and_then_used_rightly(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    monkeypatch.setattr(
        loading, "read_weights", lambda path, of=loading.read_weights: read.append(path) or of(path)
    )
    card_file = checkpoint.with_suffix(".card.json")
    options = ("--device", "cpu", "--threads", "1", "--sample", "2", "-o", card_file)
    assert run_gdla("calibrate", checkpoint, SAMPLE, *options) == 1
    assert "exists already" in capsys.readouterr().err
    assert run_gdla("calibrate", checkpoint, SAMPLE, *options, "--force", "--json") == 0
    assert read == [checkpoint], "once, for the statistics and for the engine"
    told = json.loads(capsys.readouterr().out)
    assert told["view"]["card"] == "rotate_90" and told["view"]["found"] == "identity"
    assert told["intensity"]["outcome"] == "another"
    assert told["intensity"]["found"]["kind"] == "ct_window"
    assert told["training_inputs"]["outcome"] == "differs"
    assert told["training_inputs"]["means"] == pytest.approx([0.1295], abs=0.001)
    assert told["label_order"]["outcome"] == PLAUSIBLE
    assert set(told["label_order"]["organs_ml"]) >= {"Liver", "Spleen", "Aorta"}
    assert len(told["attempts"]) == 24
    used = load_weights(checkpoint).card
    assert (used.view, used.intensity.kind) == ("identity", "ct_window")


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CT in which the template is turned by 90 degrees, and an engine that knows the template."""
    array = np.stack([(1000 * picture(seed)).astype(np.int16) - 1000 for seed in range(5)])
    turned = np.empty_like(array)
    volume = Volume(turned, np.diag([-1.0, -1.0, 1.0, 1.0]), "ct", "CT")
    slice_view(volume, "axial", "rotate_90").put(turned, range(5), array)
    path = tmp_path / "ct.nrrd"
    sitk.WriteImage(sitk.GetImageFromArray(turned), str(path))
    window = IntensityProfile("ct_window", -1000, 0)
    demo, heart = find("demo-ct").card, find("acdc").card.labels[0].terminology
    labels = tuple(dataclasses.replace(label, terminology=heart) for label in demo.labels)
    card = dataclasses.replace(demo, input_size=SIDE, intensity=window, labels=labels)
    monkeypatch.setattr(command, "engine_for", lambda model, **_: TemplateEngine(card))
    return path


def run_stand_in(capsys: pytest.CaptureFixture[str], *arguments: Any) -> str:
    assert run_gdla("calibrate", "demo-ct", *arguments) == 0
    return capsys.readouterr().out


def test_the_table_is_sorted_and_the_sentences_say_what_to_use(
    stand_in: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = run_stand_in(capsys, stand_in, "--sample", "5").splitlines()
    rows = [line for line in lines if "%" in line]
    certainties = [float(row.split("%")[0].split()[-2]) for row in rows]
    assert len(rows) == 32 and certainties == sorted(certainties, reverse=True)
    advised = [row.split() for row in rows if "use this" in row]
    assert [row[:3] for row in advised] == [["rotate_90", "ct_window", "-1000"]]
    assert [row.split()[:3] for row in rows if "card" in row] == [
        ["identity", "ct_window", "-1000"]
    ]
    assert ["ruled out" in row for row in rows] == ["zscore_volume" in row for row in rows]
    text = " ".join(" ".join(lines).split())
    assert "The card says identity" in text and "use rotate_90" in text
    assert "The network was taught on values of mean 0.129" in text


def test_quiet_prints_nothing_but_still_writes(
    stand_in: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found.json"
    assert run_stand_in(capsys, stand_in, "--quiet", "-o", out) == ""
    assert ModelCard.from_json(out.read_text()).view == "rotate_90"


@pytest.mark.parametrize(
    ("output", "problem"),
    [("card.txt", "in which format"), ("nowhere/card.json", "does not exist"), ("", "is a folder")],
)
def test_a_card_that_cannot_be_written_is_refused_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str, problem: str
) -> None:
    path = tmp_path / output if output else tmp_path / "folder.json"
    if not output:
        path.mkdir()
    assert run_gdla("calibrate", "demo-ct", tmp_path / "missing.nii.gz", "-o", path) == 1
    assert problem in capsys.readouterr().err


def test_a_missing_volume_and_an_unknown_model_are_said_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_gdla("calibrate", "demo-ct", tmp_path / "missing.nii.gz") == 1
    assert "There is no file or folder" in capsys.readouterr().err
    assert run_gdla("calibrate", "no-such-model", SAMPLE) == 1
    assert "No model is called" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run_gdla("calibrate", "demo-ct", SAMPLE, "--sample", "0")
    assert ANOTHER_ORDER not in capsys.readouterr().out
