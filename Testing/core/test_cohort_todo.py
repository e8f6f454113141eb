"""In which order studies are tried, and when a run ends because none can be done."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("PIL")
from cohort_fixtures import counting_engine, output, small_cohort  # noqa: F401
from cohorts import (
    batch,
    record_of,
    run_with,
    write_cohort,
    write_study,
)

from GDLACore.cohort.manifest import read_manifest
from GDLACore.cohort.record import CRASH, StudyRecord
from GDLACore.errors import EngineError


@pytest.mark.parametrize("kind", ["ServerError", "DeviceError", "DiskError"])
def test_a_run_ends_when_no_study_can_be_done(tmp_path, out, engine, kind):
    cohort = write_cohort(tmp_path / "in", 9)
    tried = []

    def failing(studies) -> Iterator[StudyRecord]:
        for study in studies:
            tried.append(study.name)
            yield dataclasses.replace(record_of(study), error="It is gone.", error_kind=kind)

    with pytest.raises(EngineError, match=r"5 studies in a row .* It is gone\."):
        run_with(cohort, out, failing)
    assert len(tried) == 5 == len(read_manifest(out / "manifest.jsonl"))


def failing_with(kind: str, bad: Callable[[str], bool], tried: list[str]):
    def process(studies) -> Iterator[StudyRecord]:
        for study in studies:
            tried.append(study.name)
            failing = dataclasses.replace(record_of(study), error="It is gone.", error_kind=kind)
            yield failing if bad(study.name) else record_of(study)

    return process


def empty_studies(folder: Path, names: Iterable[str]) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.nii").write_bytes(b"")
    return folder


def test_many_studies_that_end_their_process_cost_themselves_only(tmp_path, out, engine):
    bad = [f"a/bad{number:02d}" for number in range(12)]
    good = [f"b/good{number}" for number in range(4)]
    cohort = empty_studies(tmp_path / "in", [*bad, *good])
    tried: list[str] = []
    run_with(cohort, out, failing_with(CRASH, lambda name: "bad" in name, tried))
    assert sorted(tried) == [*bad, *good]


def test_what_failed_before_is_tried_last_and_ends_no_run(tmp_path, out, engine):
    bad = [f"bad{number:02d}" for number in range(12)]
    cohort = empty_studies(tmp_path / "in", bad)
    run_with(cohort, out, failing_with("VolumeError", lambda name: True, []))
    empty_studies(cohort, ["new"])
    tried: list[str] = []
    run_with(cohort, out, failing_with(CRASH, lambda name: "bad" in name, tried))
    assert tried == ["new", *bad]


def test_a_run_ends_when_every_study_ends_its_process(tmp_path, out, engine):
    cohort = empty_studies(tmp_path / "in", [f"x{number:02d}" for number in range(20)])
    tried: list[str] = []
    with pytest.raises(EngineError, match=r"6 studies in a row .* It is gone\."):
        run_with(cohort, out, failing_with(CRASH, lambda name: True, tried))
    assert tried == ["x00", "x01", "x02", "x03", "x04", "x19"]


def test_a_success_in_between_shows_that_studies_can_be_done(tmp_path, out, engine):
    cohort = empty_studies(tmp_path / "in", [f"x{number:02d}" for number in range(20)])
    tried: list[str] = []
    often = failing_with("ServerError", lambda name: int(name[1:]) % 5 < 4, tried)
    run_with(cohort, out, often)
    assert len(tried) == 20


def test_studies_that_are_wrong_themselves_never_end_a_run(tmp_path, out, engine):
    cohort = tmp_path / "in"
    for number in range(12):
        (cohort / str(number)).mkdir(parents=True)
        (cohort / str(number) / "ct.nii").write_bytes(b"")
    write_study(cohort / "good.nii.gz")
    result = batch(cohort, out)
    assert (len(result.failed), len(result.records)) == (12, 13)
