"""Cohorts of small studies, and a run over them with an engine that needs no network."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from GDLACore.cohort import run, worker
from GDLACore.cohort.plan import Study, find_studies
from GDLACore.cohort.record import CRASH, StudyRecord
from GDLACore.cohort.run import BatchResult, Process, run_batch
from GDLACore.cohort.settings import BatchSettings
from GDLACore.cohort.worker import StudyWorker
from GDLACore.engine.base import SliceEngine
from GDLACore.model.card import ModelCard


class BrightEngine(SliceEngine):
    """Calls what is brighter than the middle of the window the first structure."""

    def __init__(self, card: ModelCard) -> None:
        super().__init__(card)
        self.batch_size = 2
        self.closed = False

    @property
    def on_cpu(self) -> bool:
        return True

    def describe(self) -> str:
        return "CPU (test)"

    def close(self) -> None:
        self.closed = True

    def _labels(self, slices: np.ndarray, borders: str) -> np.ndarray:
        return (slices[:, 0] > 0.5).astype(np.uint8)

    def _labels_and_confidence(
        self, slices: np.ndarray, borders: str
    ) -> tuple[np.ndarray, np.ndarray]:
        confidence = np.abs(2 * slices[:, 0] - 1).clip(0, 1).astype(np.float16)
        return self._labels(slices, borders), confidence

    def _scores(self, slices: np.ndarray) -> np.ndarray:
        raise AssertionError("nobody asks for scores")

    def _is_out_of_memory(self, error: Exception) -> bool:
        return False

    def _move_to_cpu(self, reason: str) -> None:
        raise AssertionError("it is on the CPU")


class CountingEngine(BrightEngine):
    """Counts the slices it is asked for."""

    asked = 0

    def _labels_and_confidence(
        self, slices: np.ndarray, borders: str
    ) -> tuple[np.ndarray, np.ndarray]:
        self.asked += len(slices)
        return super()._labels_and_confidence(slices, borders)


def use_engine(monkeypatch: pytest.MonkeyPatch, engine: SliceEngine) -> None:
    """Let cohorts be segmented by ``engine``, whatever model they name."""
    monkeypatch.setattr(worker, "load_engine", lambda *_, **__: engine)
    monkeypatch.setattr(run, "model_card", lambda settings: engine.card)


def write_study(path: Path, seed: int = 0) -> Path:
    """Write a CT of four slices with a bright block of a size of its own."""
    random = np.random.default_rng(seed)
    array = random.integers(-1000, -900, (4, 9, 10)).astype(np.int16)
    array[1:3, 2 : 4 + seed % 4, 3:7] = 200 - seed
    path.parent.mkdir(parents=True, exist_ok=True)
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing((0.75, 1.5, 4.0))
    SimpleITK.WriteImage(image, str(path))
    return path


def write_cohort(folder: Path, count: int) -> Path:
    """Write ``count`` studies, and one that cannot be read, into folders below ``folder``."""
    for number in range(count):
        write_study(folder / f"site{number % 2}" / f"case{number:02d}.nii.gz", number)
    (folder / "site0/broken.nii.gz").write_bytes(b"no image")
    return folder


def process_here(settings: BatchSettings) -> Process:
    """Return a process that does everything in this process, where tests can see into it."""

    def process(studies: Iterable[Study]) -> Generator[StudyRecord, None, None]:
        with StudyWorker(settings) as at_work:
            yield from at_work.run_all(studies)

    return process


def batch(inputs: Path, output: Path, **settings: object) -> BatchResult:
    """Run a cohort in this process."""
    overwrite = bool(settings.pop("overwrite", False))
    chosen = BatchSettings(output, **settings)
    plan = find_studies([inputs], leave_out=output)
    return run_batch(plan, chosen, process_here(chosen), overwrite=overwrite)


def run_with(inputs: Path, output: Path, process: Process) -> BatchResult:
    """Run a cohort as ``process`` does it."""
    return run_batch(find_studies([inputs]), BatchSettings(output), process)


def record_of(study: Study) -> StudyRecord:
    """Return the record of a study that failed."""
    return StudyRecord(study.name, "failed", str(study.path), error="No.", error_kind="VolumeError")


def crashing(studies: Iterable[Study]) -> Iterator[StudyRecord]:
    """Be a process that ends with every study."""
    for study in studies:
        yield dataclasses.replace(record_of(study), error_kind=CRASH)


def timeless(records: Sequence[StudyRecord]) -> list[StudyRecord]:
    """Return ``records`` without what differs from run to run."""
    return [dataclasses.replace(record, seconds={}) for record in records]


def study(path: Path) -> Study:
    return Study(path.name.partition(".")[0], path)


def files(folder: Path) -> dict[str, bytes]:
    """Return what is in the files below ``folder``, by path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
