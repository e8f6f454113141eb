"""A training over two processes: the same curve as one, and one that is killed costs no more."""

from __future__ import annotations

import csv
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from training_data import write_plan

pytest.importorskip("torch")

import torch
from safetensors.torch import load_file

from GDLACore.cli import main
from GDLACore.errors import DeviceError, TrainingError
from GDLACore.training.command import train

ITERATIONS, KILLED_AT = 6, 4

# Lightning starts the second process with the same command.
PROGRAM = f"""
import os, signal, sys
from GDLACore.cli import main
from GDLACore.training import module

step = module.SegmentationTraining.training_step

def killed(self, batch):
    if self.global_step == {KILLED_AT} and os.environ.get("LOCAL_RANK") == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch)

if "--resume" not in sys.argv:
    module.SegmentationTraining.training_step = killed
sys.exit(main())
"""


@dataclass(frozen=True)
class Runs:
    """A training by one process, and one by two of which one was killed before it was resumed."""

    one: Path
    two: Path
    killed: subprocess.CompletedProcess


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Have PyTorch add up in the order in which the processes started below do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def unclaimed_port() -> int:
    """Return a port for the processes to meet at, below those that systems give to all who ask.

    Lightning would take one of those, and somebody else might be given it before it is used.
    """
    for port in range(20_000 + os.getpid() % 10_000, 32_000):
        with socket.socket() as free, suppress(OSError):
            free.bind(("", port))
            return port
    raise AssertionError("all ports are taken")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("distributed")
    plan = write_plan(
        folder,
        iterations=ITERATIONS,
        validate_every=1,
        batch_size=4,
        average=0.9,
        cross_entropy=0.5,
    )
    with on_one_thread():
        train(plan, folder / "one", device="cpu")
    program = folder / "killed.py"
    program.write_text(PROGRAM, encoding="utf-8")
    command = [sys.executable, str(program), "train", str(plan), "-o", str(folder / "two")]
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "OMP_NUM_THREADS": "1",
    }

    def run(*more: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*command, "--device", "cpu", "--processes", "2", *more],
            env={**environment, "MASTER_PORT": str(unclaimed_port())},
            capture_output=True,
            text=True,
            timeout=300,
        )

    killed = run()
    resumed = run("--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout.splitlines() == [str(folder / "two" / "final.safetensors")]
    return Runs(folder / "one", folder / "two", killed)


def _curve(folder: Path, column: str) -> dict[int, float]:
    found = {}
    for file in sorted((folder / "log").glob("part-*/metrics.csv")):
        with file.open(encoding="utf-8") as rows:
            found |= {int(r["step"]): float(r[column]) for r in csv.DictReader(rows) if r[column]}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("column", ["loss", "learning_rate", "dice"])
def test_two_processes_draw_the_curve_of_one(runs: Runs, column: str) -> None:
    expected, found = _curve(runs.one, column), _curve(runs.two, column)
    assert list(found) == list(expected) == list(range(ITERATIONS))
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-9)


@pytest.mark.slow
def test_two_processes_of_which_one_was_killed_leave_the_weights_of_one(runs: Runs) -> None:
    assert runs.killed.returncode != 0
    expected, found = (load_file(f / "final.safetensors") for f in (runs.one, runs.two))
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-4)  # half precision


@pytest.mark.slow
def test_batch_statistics_count_what_all_processes_see(runs: Runs) -> None:
    one, two = (
        torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]
        for folder in (runs.one, runs.two)
    )
    names = [name for name in one if "running_" in name]
    assert len(names) == 6
    for name in names:
        torch.testing.assert_close(two[name], one[name], rtol=1e-5, atol=1e-6)


def test_more_processes_than_samples_are_refused(tmp_path: Path) -> None:
    plan = write_plan(tmp_path, batch_size=2)
    with pytest.raises(TrainingError, match="3 processes cannot share batches of 2"):
        train(plan, tmp_path / "run", device="cpu", processes=3)
    assert not (tmp_path / "run").exists()


def test_more_processes_than_gpus_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(DeviceError, match=r"1 GPU\(s\) for 2 processes"):
        train(write_plan(tmp_path), tmp_path / "run", device="cuda", processes=2)


def test_the_number_of_processes_is_at_least_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["train", "train.yaml", "-o", str(tmp_path), "--processes", "0"])
    assert "must be at least 1" in capsys.readouterr().err
