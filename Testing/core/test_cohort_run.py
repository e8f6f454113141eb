"""Runs over a cohort: what is kept, what is done again, and what is refused."""

from __future__ import annotations

import dataclasses
import errno
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("PIL")
from cohorts import (
    CountingEngine,
    batch,
    files,
    process_here,
    timeless,
    use_engine,
    write_cohort,
    write_study,
)
from dicom_files import values, write_series
from phantom import make_card

from GDLACore.cohort import earlier, hashes
from GDLACore.cohort import manifest as manifest_module
from GDLACore.cohort.manifest import read_manifest
from GDLACore.cohort.plan import SPREAD, find_studies
from GDLACore.cohort.record import CRASH, StudyRecord
from GDLACore.cohort.run import run_batch
from GDLACore.cohort.settings import BatchSettings
from GDLACore.errors import EngineError, OutputError


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> CountingEngine:
    engine = CountingEngine(make_card())
    use_engine(monkeypatch, engine)
    return engine


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    return write_cohort(tmp_path / "in", 3)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_every_study_has_one_line_in_the_order_of_the_plan(cohort, out, engine):
    result = batch(cohort, out)
    lines = (out / "manifest.jsonl").read_text().splitlines()
    assert [json.loads(line)["name"] for line in lines] == [
        *("site0/broken", "site0/case00", "site0/case02", "site1/case01")
    ]
    assert [record.status for record in result.records] == ["failed", "done", "done", "done"]
    assert [StudyRecord.from_line(line) for line in lines] == list(result.records)
    assert [record.name for record in result.failed] == ["site0/broken"]
    assert result.kept == 0 and result.page.exists()
    assert engine.closed


def test_what_is_done_is_kept_and_what_failed_is_tried_again(cohort, out, engine):
    first = batch(cohort, out)
    engine.asked = 0
    before = files(out)
    again = batch(cohort, out)
    assert (again.kept, engine.asked) == (3, 0)
    assert timeless(again.records) == timeless(first.records)
    write_study(cohort / "site0/broken.nii.gz", 5)
    mended = batch(cohort, out)
    assert (mended.kept, mended.failed, engine.asked) == (3, (), 4)
    assert {name: data for name, data in files(out).items() if "case" in name} == {
        name: data for name, data in before.items() if "case" in name
    }


def spoil_input(cohort: Path, out: Path) -> None:
    write_study(cohort / "site0/case00.nii.gz", 3)


def spoil_output(cohort: Path, out: Path) -> None:
    path = out / "segmentations/site0/case00.seg.nrrd"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def remove_output(cohort: Path, out: Path) -> None:
    (out / "segmentations/site0/case00.seg.nrrd").unlink()


def forget(cohort: Path, out: Path) -> None:
    lines = (out / "manifest.jsonl").read_text().splitlines(keepends=True)
    (out / "manifest.jsonl").write_text("".join(line for line in lines if "case00" not in line))


@pytest.mark.parametrize("change", [spoil_input, spoil_output, remove_output, forget])
def test_a_study_that_is_not_as_recorded_is_done_again_and_no_other(cohort, out, engine, change):
    batch(cohort, out)
    change(cohort, out)
    again = batch(cohort, out)
    assert again.kept == 2
    assert timeless(batch(cohort, out.with_name("fresh")).records) == timeless(again.records)


def test_a_failure_removes_what_an_earlier_run_made_of_the_name(cohort, out, engine):
    batch(cohort, out)
    (cohort / "site1/case01.nii.gz").write_bytes(b"damaged")
    assert len(batch(cohort, out).failed) == 2
    assert not [name for name in files(out) if "case01" in name]


def test_an_image_that_cannot_be_read_this_time_costs_no_earlier_result(
    cohort, out, engine, monkeypatch
):
    batch(cohort, out)
    before = files(out)
    hashing = hashes.file_hash

    def unreachable(path: Path) -> str:
        if path.name == "case01.nii.gz":
            raise OSError(errno.EHOSTDOWN, os.strerror(errno.EHOSTDOWN), str(path))
        return hashing(path)

    with monkeypatch.context() as patch:
        patch.setattr(hashes, "file_hash", unreachable)
        result = batch(cohort, out)
    failed = {record.name: record for record in result.failed}
    assert "cannot be read" in str(failed["site1/case01"].error)
    assert "earlier run is kept" in failed["site1/case01"].warnings[0]
    assert "earlier run is kept" in result.page.read_text(encoding="utf-8")
    after = files(out)
    assert timeless(read_manifest(out / "manifest.jsonl").values())[3].done
    assert {name: after[name] for name in before if "case" in name} == {
        name: data for name, data in before.items() if "case" in name
    }
    assert batch(cohort, out).kept == 3


def test_an_unknown_image_at_another_place_is_not_taken_for_the_recorded_one(
    cohort, out, engine, monkeypatch
):
    batch(cohort, out)
    other = write_study(cohort.with_name("other") / "site1/case01.nii.gz", 3).parents[1]

    def unreachable(study) -> str:
        raise OSError(errno.EHOSTDOWN, os.strerror(errno.EHOSTDOWN))

    monkeypatch.setattr(earlier, "input_hash", unreachable)
    with pytest.raises(OutputError, match="under the name site1/case01"):
        batch(other, out)


def test_a_changed_image_that_ends_the_process_loses_its_old_result(cohort, out, engine):
    batch(cohort, out)
    write_study(cohort / "site1/case01.nii.gz", 6)

    def crashing(studies) -> Iterator[StudyRecord]:
        for study in studies:
            yield dataclasses.replace(record_of(study), error_kind=CRASH)

    run_with(cohort, out, crashing)
    assert not [name for name in files(out) if "case01" in name]
    assert not read_manifest(out / "manifest.jsonl")["site1/case01"].done


def test_what_joins_changes_no_name_and_has_nothing_done_again(tmp_path, out, engine):
    first, second = tmp_path / "in/s1", tmp_path / "in/s2"
    write_study(first / "a.nii.gz", 1)
    write_study(second / "a.nii.gz", 2)
    assert [record.name for record in batch(first, out).records] == ["a"]
    plan = find_studies([first, second])
    assert [study.name for study in plan] == ["s1/a", "s2/a"]
    settings = BatchSettings(out)
    result = run_batch(plan, settings, process_here(settings))
    assert result.kept == 1 and [record.name for record in result.records] == ["a", "s2/a"]


def test_a_recorded_name_that_another_study_has_now_is_not_taken(tmp_path, out, engine):
    first = write_study(tmp_path / "in/s1/s2/a.nii.gz", 1).parents[1]
    assert [record.name for record in batch(first, out).records] == ["s2/a"]
    second = write_study(tmp_path / "in/s2/a.nii.gz", 2).parent
    settings = BatchSettings(out)
    with pytest.raises(OutputError, match="under the name s2/a"):
        run_batch(find_studies([first, second]), settings, process_here(settings))


def test_the_page_counts_no_study_twice_and_shows_the_gone_ones_apart(cohort, out, engine, caplog):
    batch(cohort, out)
    (cohort / "site1/case01.nii.gz").unlink()
    with caplog.at_level(logging.WARNING):
        page = batch(cohort, out).page.read_text(encoding="utf-8")
    assert "2 segmented, 1 failed" in page
    assert page.index("no longer among the images") < page.index("<h3>site1/case01")
    assert "1 studies of earlier runs, such as site1/case01" in caplog.text


def test_a_part_of_a_series_is_told_where_the_study_is_told(tmp_path, out, engine):
    write_series(tmp_path / "in/a", values())
    (whole,) = batch(tmp_path / "in", out).records
    assert SPREAD not in whole.warnings
    write_series(tmp_path / "in/b", values())
    result = batch(tmp_path / "in", out)
    assert (result.kept, [SPREAD in record.warnings for record in result.records]) == (
        1,
        [True] * 2,
    )
    assert result.page.read_text(encoding="utf-8").count("a part of it") == 2
    for record in read_manifest(out / "manifest.jsonl").values():
        assert record.warnings.count(SPREAD) == 1
    assert batch(tmp_path / "in/a", out).records[0].warnings == whole.warnings


def test_a_new_study_joins_and_a_removed_one_stays_recorded(cohort, out, engine):
    batch(cohort, out)
    write_study(cohort / "site2/new.nii.gz", 7)
    (cohort / "site1/case01.nii.gz").unlink()
    result = batch(cohort, out)
    assert result.kept == 2 and "site2/new" in [record.name for record in result.records]
    assert "site1/case01" not in [record.name for record in result.records]
    assert "site1/case01" in read_manifest(out / "manifest.jsonl")
    assert (out / "segmentations/site1/case01.seg.nrrd").exists()


def test_a_moved_cohort_is_not_done_again(cohort, out, engine):
    batch(cohort, out)
    moved = batch(cohort.rename(cohort.with_name("moved")), out)
    assert moved.kept == 3


def run_with(cohort: Path, out: Path, process) -> None:
    run_batch(find_studies([cohort]), BatchSettings(out), process)


def record_of(study) -> StudyRecord:
    return StudyRecord(study.name, "failed", str(study.path), error="No.", error_kind="VolumeError")


def test_a_process_that_loses_or_repeats_a_study_is_found_out(cohort, out, engine):
    def loses(studies) -> Iterator[StudyRecord]:
        for study in list(studies)[1:]:
            yield record_of(study)

    def repeats(studies) -> Iterator[StudyRecord]:
        for study in studies:
            yield record_of(study)
            yield record_of(study)

    with pytest.raises(RuntimeError, match="1 studies did not come back"):
        run_with(cohort, out, loses)
    with pytest.raises(RuntimeError, match="came twice"):
        run_with(cohort, out, repeats)
    assert batch(cohort, out).kept == 0


def test_records_in_any_order_are_written_as_they_come_and_sorted_at_the_end(cohort, out, engine):
    seen = []

    def backwards(studies) -> Iterator[StudyRecord]:
        for study in reversed(list(studies)):
            yield record_of(study)
            seen.append(list(read_manifest(out / "manifest.jsonl")))

    run_with(cohort, out, backwards)
    assert [len(names) for names in seen] == [1, 2, 3, 4]
    assert list(read_manifest(out / "manifest.jsonl")) == seen[-1][::-1]


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


def test_ctrl_c_keeps_what_is_done(cohort, out, engine):
    asked = engine._labels_and_confidence

    def interrupted(slices, borders):
        if engine.asked >= 4:
            raise KeyboardInterrupt
        return asked(slices, borders)

    engine._labels_and_confidence = interrupted
    with pytest.raises(KeyboardInterrupt):
        batch(cohort, out)
    engine._labels_and_confidence = asked
    result = batch(cohort, out)
    assert (result.kept, len(result.records)) == (1, 4)


def test_a_full_disk_under_the_manifest_ends_the_run_in_a_sentence(
    cohort, out, engine, monkeypatch
):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(manifest_module, "os", SimpleNamespace(fsync=full, SEEK_END=os.SEEK_END))
        with pytest.raises(OutputError, match="manifest.jsonl cannot be written") as caught:
            batch(cohort, out)
    assert "Free some space" in caught.value.hint
    assert len(batch(cohort, out).failed) == 1


def test_an_empty_plan_of_what_is_left_loads_no_model(tmp_path, out, engine, monkeypatch):
    write_study(tmp_path / "in/ct.nii.gz")
    batch(tmp_path / "in", out)
    monkeypatch.setattr("GDLACore.cohort.worker.load_engine", None)
    assert batch(tmp_path / "in", out).kept == 1
