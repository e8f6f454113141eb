"""Runs over a cohort: what is kept, what is done again, and what is refused."""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("PIL")
from cohort_fixtures import counting_engine, output, small_cohort  # noqa: F401
from cohorts import (
    batch,
    files,
    record_of,
    run_with,
    timeless,
    write_study,
)

from GDLACore import __version__
from GDLACore.cohort import manifest as manifest_module
from GDLACore.cohort.manifest import read_manifest
from GDLACore.cohort.record import StudyRecord
from GDLACore.errors import OutputError


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


def empty_output(cohort: Path, out: Path) -> None:
    (out / "segmentations/site0/case00.seg.nrrd").write_bytes(b"")


def remove_output(cohort: Path, out: Path) -> None:
    (out / "segmentations/site0/case00.seg.nrrd").unlink()


def forget(cohort: Path, out: Path) -> None:
    lines = (out / "manifest.jsonl").read_text().splitlines(keepends=True)
    (out / "manifest.jsonl").write_text("".join(line for line in lines if "case00" not in line))


@pytest.mark.parametrize("change", [spoil_input, empty_output, remove_output, forget])
def test_a_study_that_is_not_as_recorded_is_done_again_and_no_other(cohort, out, engine, change):
    batch(cohort, out)
    change(cohort, out)
    again = batch(cohort, out)
    assert again.kept == 2
    assert timeless(batch(cohort, out.with_name("fresh")).records) == timeless(again.records)


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


def test_results_of_another_version_are_kept_with_a_warning(cohort, out, engine, caplog):
    batch(cohort, out)
    path = out / "manifest.jsonl"
    assert {record.version for record in read_manifest(path).values()} == {__version__}
    path.write_text(path.read_text().replace(f'"version": "{__version__}"', '"version": "0.0.1"'))
    with caplog.at_level(logging.WARNING):
        assert batch(cohort, out).kept == 3
    assert "3 results, such as that of site0/case00, were made by gdla 0.0.1" in caplog.text
    recorded = read_manifest(path)
    assert recorded["site0/case00"].version == "0.0.1"
    assert recorded["site0/broken"].version == __version__
