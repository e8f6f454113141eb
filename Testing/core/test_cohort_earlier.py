"""What becomes of earlier results when images are away, change, move, join or go."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

import pytest

pytest.importorskip("PIL")
from cohort_fixtures import counting_engine, output, small_cohort  # noqa: F401
from cohorts import (
    batch,
    crashing,
    files,
    process_here,
    run_with,
    timeless,
    write_study,
)
from dicom_files import values, write_series

from GDLACore.cohort import earlier, hashes
from GDLACore.cohort.manifest import read_manifest
from GDLACore.cohort.plan import SPREAD, find_studies
from GDLACore.cohort.run import run_batch
from GDLACore.cohort.settings import BatchSettings
from GDLACore.errors import OutputError


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

    run_with(cohort, out, crashing)
    assert not [name for name in files(out) if "case01" in name]
    assert not read_manifest(out / "manifest.jsonl")["site1/case01"].done


def test_a_result_that_is_lost_is_not_kept_when_it_cannot_be_made_again(cohort, out, engine):
    batch(cohort, out)
    (out / "segmentations/site0/case00.seg.nrrd").unlink()
    run_with(cohort, out, crashing)
    assert not read_manifest(out / "manifest.jsonl")["site0/case00"].done
    assert not (out / "pictures/site0/case00.jpg").exists()


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


def test_a_recorded_name_stays_with_its_image_if_another_would_have_it_now(tmp_path, out, engine):
    first = write_study(tmp_path / "in/s1/s2/a.nii.gz", 1).parents[1]
    assert [record.name for record in batch(first, out).records] == ["s2/a"]
    second = write_study(tmp_path / "in/s2/a.nii.gz", 2).parent
    settings = BatchSettings(out)
    result = run_batch(find_studies([first, second]), settings, process_here(settings))
    assert result.kept == 1 and [record.name for record in result.records] == ["s2/a", "s2/a-2"]


def test_the_page_counts_no_study_twice_and_shows_the_gone_ones_apart(cohort, out, engine, caplog):
    batch(cohort, out)
    (cohort / "site1/case01.nii.gz").unlink()
    with caplog.at_level(logging.WARNING):
        page = batch(cohort, out).page.read_text(encoding="utf-8")
    assert "2 segmented, 1 failed" in page
    assert page.index("not found this time") < page.index("<h3>site1/case01")
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
