from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from training_data import STRUCTURES, write_case, write_dataset, write_plan

pytest.importorskip("torch")

import torch
from safetensors.torch import load_file

from GDLACore.errors import GDLAError, ModelFileError, TrainingError
from GDLACore.model.bundle import read_card
from GDLACore.model.catalogue import find
from GDLACore.network.checkpoint import build_network, load_model
from GDLACore.training.command import train
from GDLACore.training.dataset import read_dataset
from GDLACore.training.module import SegmentationTraining
from GDLACore.training.recipe import Recipe

# Kills itself the hard way in the middle of the second stretch between validations.
KILLED_TRAINING = """
import os, signal, sys
from pathlib import Path
from GDLACore.training import command, module

step = module.SegmentationTraining.training_step

def killed_at_three(self, batch):
    if self.global_step == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch)

module.SegmentationTraining.training_step = killed_at_three
command.train(Path(sys.argv[1]), Path(sys.argv[2]), device="cpu")
"""


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums come out alike only where as many threads share them, in another process, too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _killed(program: str, plan: Path, folder: Path) -> bool:
    """Run ``program`` and return whether it ended by SIGKILL."""
    ended = subprocess.run(
        [sys.executable, "-c", program, str(plan), str(folder)],
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
    )
    return ended.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_a_killed_training_resumes_to_the_weights_of_an_uninterrupted_one(
    tmp_path: Path, one_thread: None
) -> None:
    plan = write_plan(tmp_path, average=0.5, augmentation="resliced")
    whole = train(plan, tmp_path / "whole", device="cpu")
    assert _killed(KILLED_TRAINING, plan, tmp_path / "killed")
    assert not (tmp_path / "killed" / "final.safetensors").exists()
    resumed = train(plan, tmp_path / "killed", device="cpu", resume=True)
    expected, found = load_file(whole), load_file(resumed)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.slow
def test_resuming_a_complete_training_gives_the_same_averaged_weights(tmp_path: Path) -> None:
    plan = write_plan(tmp_path, average=0.5, iterations=3)
    first = train(plan, tmp_path / "run", device="cpu").read_bytes()
    assert train(plan, tmp_path / "run", device="cpu", resume=True).read_bytes() == first


@pytest.mark.slow
def test_training_learns_and_leaves_a_model_with_its_card_and_log(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    plan = write_plan(
        tmp_path, iterations=80, validate_every=40, warm_up=5, learning_rate=2e-3, cross_entropy=1.0
    )
    path = train(plan, folder, device="cpu")
    assert [label.name for label in read_card(path).labels] == list(STRUCTURES)
    network, card = load_model(path)
    assert card.sha256 is not None and network.classes == 3
    with (folder / "log" / "part-1" / "metrics.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    losses = [float(row["loss"]) for row in rows if row["loss"]]
    dice = [float(row["dice"]) for row in rows if row["dice"]]
    assert min(losses) < losses[0] and len(dice) == 2
    assert max(dice) > 0.5
    state = torch.load(folder / "last.ckpt", weights_only=True)["callbacks"]
    (best,) = (s["best_model_score"] for s in state.values() if s.get("monitor") == "dice")
    assert best.item() == pytest.approx(max(dice))
    assert load_model(folder / "best.safetensors")[1].labels == card.labels
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert (list(run["training data"]), list(run["validation data"])) == (["a"], ["b"])
    assert len(run["training data"]["a"]["image"]) == 64


def test_a_folder_that_holds_a_training_is_not_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "last.ckpt").write_bytes(b"weeks of work")
    with pytest.raises(TrainingError, match="already holds a training"):
        train(write_plan(tmp_path), folder)
    assert (folder / "last.ckpt").read_bytes() == b"weeks of work"


@pytest.mark.slow
def test_a_training_that_failed_before_its_first_checkpoint_can_be_started_anew(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.json").write_text("{}", encoding="utf-8")
    assert train(write_plan(tmp_path, iterations=1), folder, device="cpu").exists()


def test_there_is_nothing_to_resume_in_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="nothing to resume"):
        train(write_plan(tmp_path), tmp_path / "run", resume=True)


@pytest.mark.slow
def test_a_training_is_not_resumed_with_other_settings_or_data(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    plan = write_plan(tmp_path, iterations=2)
    train(plan, folder, device="cpu")
    write_plan(tmp_path, iterations=3)
    with pytest.raises(TrainingError, match="recipe changed"):
        train(plan, folder, device="cpu", resume=True)
    write_plan(tmp_path, iterations=2)
    write_case(tmp_path, "a", seed=9)
    with pytest.raises(TrainingError, match="training data changed"):
        train(plan, folder, device="cpu", resume=True)


def test_card_and_dataset_must_name_the_same_structures(tmp_path: Path) -> None:
    plan = write_plan(tmp_path)
    dataset = tmp_path / "dataset.yaml"
    text = dataset.read_text(encoding="utf-8").replace("- liver\n- spleen", "- spleen\n- liver")
    dataset.write_text(text, encoding="utf-8")
    with pytest.raises(TrainingError, match="card's labels"):
        train(plan, tmp_path / "run")
    assert not (tmp_path / "run").exists()


KILLED_WHILE_SAVING = """
import os, signal, sys
from pathlib import Path
import torch
from GDLACore.training import command, trainer

save, write, saved = torch.save, trainer.WholeFiles.save_checkpoint, []

def noted(self, checkpoint, path, storage_options=None):
    saved.append(Path(path).name)
    write(self, checkpoint, path, storage_options)

def killed_at_the_second_last(content, path, **options):
    if saved.count("last.ckpt") == 2:
        Path(path).write_bytes(b"half a checkpoint")
        os.kill(os.getpid(), signal.SIGKILL)
    save(content, path, **options)

trainer.WholeFiles.save_checkpoint, torch.save = noted, killed_at_the_second_last
command.train(Path(sys.argv[1]), Path(sys.argv[2]), device="cpu")
"""


@pytest.mark.slow
def test_a_kill_while_saving_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    plan, folder = write_plan(tmp_path, iterations=4), tmp_path / "run"
    assert _killed(KILLED_WHILE_SAVING, plan, folder)
    assert train(plan, folder, device="cpu", resume=True).exists()


def test_initial_weights_that_do_not_exist_are_named_before_anything_is_written(
    tmp_path: Path,
) -> None:
    plan = write_plan(tmp_path)
    with plan.open("a", encoding="utf-8") as file:
        file.write("initial_weights: pvt_v2_b0.pth\n")
    with pytest.raises(ModelFileError, match=r"pvt_v2_b0\.pth does not exist"):
        train(plan, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["run.json", "last.ckpt"])
def test_a_damaged_file_of_a_training_is_named(tmp_path: Path, name: str) -> None:
    plan, folder = write_plan(tmp_path, iterations=1), tmp_path / "run"
    train(plan, folder, device="cpu")
    (folder / name).write_bytes((folder / name).read_bytes()[:100])
    with pytest.raises(GDLAError, match=name):
        train(plan, folder, device="cpu", resume=True)


def test_the_state_of_a_training_is_not_taken_for_a_model(tmp_path: Path) -> None:
    plan, folder = write_plan(tmp_path, iterations=1), tmp_path / "run"
    train(plan, folder, device="cpu")
    with pytest.raises(ModelFileError, match=r"state of a training.*final\.safetensors"):
        load_model(folder / "last.ckpt", "synapse")


def test_the_optimiser_decays_what_the_published_one_decays(tmp_path: Path) -> None:
    card = find("synapse").card
    dataset = read_dataset(write_dataset(tmp_path))
    network = build_network(card)
    module = SegmentationTraining(network, dataset, card, Recipe())
    decayed, kept = module.configure_optimizers()["optimizer"].param_groups
    assert (len(decayed["params"]), len(kept["params"])) == (153, 265)
    assert (decayed["weight_decay"], kept["weight_decay"]) == (1e-4, 0.0)
    # The authors meant to spare the lambdas and did not: their weights are made so.
    assert any(p is network.decoder[0].block.attn.lambda_main for p in decayed["params"])
