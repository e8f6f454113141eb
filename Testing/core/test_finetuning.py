"""A model is taught on corrected cases, and the result is saved only if it is no worse."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from command_line import run_gdla
from corrected_cases import CARD, add_ball_case, patient

pytest.importorskip("torch")

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.trainer.states import TrainerFn

from GDLACore.errors import TrainingError
from GDLACore.export.model_file import write_onnx_model
from GDLACore.finetuning import command
from GDLACore.finetuning.callbacks import KeptParts, StopNoBetter
from GDLACore.finetuning.cases import examine
from GDLACore.finetuning.command import Settings, finetune, load_start
from GDLACore.finetuning.finetuned_card import finetuned_name
from GDLACore.finetuning.held_out import hold_out_named
from GDLACore.model.bundle import read_card
from GDLACore.model.card import IntensityProfile
from GDLACore.network.checkpoint import build_network, save_model
from GDLACore.training.file_hash import sha256
from GDLACore.weights.loading import load_weights

NAMED = partial(hold_out_named, names=[patient(3)])
# Refused whatever comes of it: nothing can gain more Dice than there is.
RUIN = Settings(iterations=2, validate_every=1, batch_size=2, learning_rate=0.5, tolerance=-1.0)


@dataclass(frozen=True)
class Bench:
    """Three cases of as many patients, and models: one that finds nothing, as a file of either
    kind, and one that finds something.
    """

    cases: Path
    model: Path
    exported: Path
    taught: Path


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("finetuning")
    torch.manual_seed(0)
    network = build_network(CARD)
    taught = save_model(folder / "taught.safetensors", network, CARD)
    with torch.no_grad():
        network.head.bias[0] += 1.0
    model = save_model(folder / "abdomen.safetensors", network, CARD)
    exported = write_onnx_model(folder / "abdomen.onnx", load_weights(model))
    (folder / "cases").mkdir()
    for number in (1, 2):
        add_ball_case(folder / "cases", number, reviewed=((1, 7),))
    add_ball_case(folder / "cases", 3)
    return Bench(folder / "cases", model, exported, taught)


@pytest.fixture(scope="module")
def learnt(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a fine-tuning, of an exported model, that succeeds."""
    output = tmp_path_factory.mktemp("finetuned")
    arguments = ["finetune", "--model", bench.exported, "--cases", bench.cases, "-o", output]
    arguments += ["--hold-out", patient(3), "--device", "cpu", "--batch", 2]
    assert run_gdla(*arguments, "--iterations", 16, "--learning-rate", 2e-3) == 0
    return output


def mean(output: Path) -> tuple[float, float]:
    """Return the mean Dice before and after, as the report in ``output`` tells it."""
    change = json.loads((output / "report.json").read_text(encoding="utf-8"))["changes"][-1]
    return change["start"]["value"], change["result"]["value"]


def test_a_model_learns_from_corrected_cases(bench: Bench, learnt: Path) -> None:
    before, after = mean(learnt)
    assert after > before
    saved, start = load_weights(learnt / "model.safetensors"), load_weights(bench.model)
    assert any(not np.array_equal(saved.tensors[n], start.tensors[n]) for n in start.tensors)
    assert read_card(learnt / "model.onnx").labels == CARD.labels
    assert not (learnt / "training" / "cache").exists()


def test_the_card_says_from_what_on_how_much_and_how_it_was_judged(
    bench: Bench, learnt: Path
) -> None:
    card = read_card(learnt / "model.onnx")
    assert (card.name, card.version) == ("abdomen-finetuned", "1.2+2")
    assert finetuned_name(card) == card.name
    provenance = card.provenance
    assert f"abdomen 1.2, the file with the SHA-256 {sha256(bench.exported)}" in provenance.source
    assert "2 corrected cases of 2 patients (12 reviewed slices)" in provenance.training_data
    assert "not for clinical use" in provenance.intended_use
    before, after = mean(learnt)
    assert f"{before:.3f} and {after:.3f}" in provenance.caveats[-1]
    assert card.sha256 != read_card(bench.model).sha256


def test_the_report_tells_before_and_after_and_leaves_no_path(bench: Bench, learnt: Path) -> None:
    text = (learnt / "report.json").read_text(encoding="utf-8")
    told = json.loads(text)
    assert str(bench.cases) not in text
    assert told["saved"] and told["held out are other patients"]
    assert told["start"]["sha256"] == sha256(bench.exported)
    assert [change["structure"] for change in told["changes"]] == ["liver", "spleen", "mean"]
    assert f"{mean(learnt)[1]:.3f}" in (learnt / "report.html").read_text(encoding="utf-8")


class Stopped(KeptParts):
    """Is stopped by Ctrl-C in the second of two stretches."""

    def on_train_batch_start(self, trainer: Trainer, *_: object) -> None:
        if trainer.global_step == 1:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_a_worse_result_is_refused_unless_forced_and_a_stopped_one_goes_on(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, before = load_start(bench.taught, None), sha256(bench.taught)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    ruin = partial(finetune, start, bench.cases, settings=RUIN, split=NAMED, device="cpu")
    with pytest.raises(TrainingError, match=r"fell.*Nothing was saved.*--force"):
        ruin(whole)
    assert sha256(bench.taught) == before and not list(whole.glob("model.*"))
    told = json.loads((whole / "report.json").read_text(encoding="utf-8"))
    assert not told["saved"] and "fell" in told["refusal"]
    assert ruin(whole, resume=True, force=True).saved
    card = read_card(whole / "model.safetensors")
    assert any("although it is worse" in caveat for caveat in card.provenance.caveats)

    with monkeypatch.context() as patch:
        patch.setattr(command, "KeptParts", Stopped)
        with pytest.raises(KeyboardInterrupt):
            ruin(stopped, force=True)
    assert not list(stopped.glob("model.*")) and not list(stopped.glob("report.*"))
    ruin(stopped, resume=True, force=True)
    assert (whole / "model.onnx").read_bytes() == (stopped / "model.onnx").read_bytes()


def test_a_training_ends_where_nothing_reaches_the_start() -> None:
    measured = {"dice": torch.tensor(0.5)}
    trainer = SimpleNamespace(
        callback_metrics=measured,
        state=SimpleNamespace(fn=TrainerFn.FITTING),
        sanity_checking=False,
        fast_dev_run=False,
        strategy=SimpleNamespace(reduce_boolean_decision=lambda stop, all: stop),
        should_stop=False,
        current_epoch=0,
        world_size=1,
    )
    stopping = StopNoBetter(patience=2)
    stopping._check_on_train_epoch_end = True
    stopping.on_sanity_check_end(trainer, None)
    for dice, ends in ((0.4, False), (0.6, False), (0.5, False), (0.6, True)):
        measured["dice"] = torch.tensor(dice)
        stopping.on_train_epoch_end(trainer, None)
        assert trainer.should_stop == ends


def test_what_a_few_cases_can_only_spoil_is_kept() -> None:
    network = build_network(CARD).train()
    module = SimpleNamespace(network=network)
    kept = KeptParts()
    kept.setup(None, module, "fit")
    kept.on_train_epoch_start(None, module)
    before = {name: value.clone() for name, value in network.named_buffers()}
    outputs = network.forward_with_supervision(torch.randn(2, 1, 32, 32), 8)
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())
    assert [output.requires_grad for output in outputs] == [False, False, False, True]


def test_nothing_is_taught_where_nothing_could_be_judged(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "cases").mkdir()
    add_ball_case(tmp_path / "cases", 1)
    add_ball_case(tmp_path / "cases", 2, reviewed=((0, 1),))
    split = partial(hold_out_named, names=[patient(2)])
    start = load_start(bench.model, None)
    with pytest.raises(TrainingError, match="shows none of the structures"):
        finetune(start, tmp_path / "cases", tmp_path / "out", RUIN, split, device="cpu")
    assert not (tmp_path / "out").exists()


def test_a_name_that_no_model_can_have_is_refused_before_training(
    bench: Bench, tmp_path: Path
) -> None:
    start = load_start(bench.taught, None)
    settings = replace(RUIN, name="Mine, of 2026!")
    with pytest.raises(TrainingError, match=r"cannot be called 'Mine, of 2026!'.*name"):
        finetune(start, bench.cases, tmp_path / "out", settings, NAMED, device="cpu")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("seed", ["-1", "2147483648", "1.5"])
def test_a_seed_that_no_recipe_takes_is_refused(
    seed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run_gdla("finetune", "--model", "m", "--cases", "c", "-o", "o", f"--seed={seed}")
    assert "whole number from 0 to 2147483647" in capsys.readouterr().err


def test_a_training_that_had_ended_early_is_not_taken_further(bench: Bench, tmp_path: Path) -> None:
    settings = Settings(
        iterations=3,
        validate_every=1,
        batch_size=1,
        patience=1,
        learning_rate=1e-8,
    )
    start = load_start(bench.model, None)
    teach = partial(finetune, start, bench.cases, tmp_path, settings, NAMED, device="cpu")
    teach(force=True)
    ended = (tmp_path / "training" / "final.safetensors").read_bytes()
    steps = torch.load(tmp_path / "training" / "last.ckpt", weights_only=True)["global_step"]
    assert steps == 1
    teach(resume=True, force=True)
    assert (tmp_path / "training" / "final.safetensors").read_bytes() == ended
    last = torch.load(tmp_path / "training" / "last.ckpt", weights_only=True)
    assert last["global_step"] == steps


def test_a_folder_with_a_model_or_without_a_case_is_refused(bench: Bench, tmp_path: Path) -> None:
    start = load_start(bench.model, None)
    (tmp_path / "model.safetensors").write_bytes(b"weeks of work")
    with pytest.raises(TrainingError, match="already holds a fine-tuned model"):
        finetune(start, bench.cases, tmp_path, RUIN, NAMED)
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError, match="no case to learn from"):
        finetune(start, tmp_path / "empty", tmp_path / "out", RUIN, NAMED)


def test_more_structures_than_a_label_map_can_hold_are_refused(
    bench: Bench, tmp_path: Path
) -> None:
    start = load_start(bench.model, None)
    many = tuple(replace(CARD.labels[0], value=n, name=f"structure {n}") for n in range(1, 256))
    start = replace(start, card=replace(CARD, labels=many))
    with pytest.raises(TrainingError, match="255 structures; at most 254"):
        finetune(start, bench.cases, tmp_path / "out", RUIN, NAMED)


def test_only_windowed_ct_as_wide_as_a_trunk_is_cut_anew(tmp_path: Path) -> None:
    case = examine(add_ball_case(tmp_path, 1), CARD)
    assert case.extent == 40 * 8.0
    colour = replace(CARD, in_channels=3)
    scaled = replace(CARD, intensity=IntensityProfile("zscore_volume"))
    for card, extent, expected in (
        (CARD, 250.0, "resliced"),
        (CARD, 249.0, "published"),
        (colour, 320.0, "published"),
        (scaled, 320.0, "published"),
    ):
        recipe = command.recipe_for(card, RUIN, [case, replace(case, extent=extent)])
        assert recipe.augmentation == expected
        assert (recipe.reflections, recipe.rotation) == ("none", "ignored_corners")
