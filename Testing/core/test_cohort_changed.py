"""Results that somebody corrected in the folder where they lie, and what runs do to them."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

pytest.importorskip("PIL")
from cohort_fixtures import counting_engine, output, small_cohort  # noqa: F401
from cohorts import batch, crashing, files, run_with, write_study

from GDLACore.cohort.manifest import read_manifest
from GDLACore.cohort.record import CHANGED

RESULT = "segmentations/site0/case00.seg.nrrd"
ASIDE = "segmentations/site0/case00.changed-{}.seg.nrrd"
WORK = b"corrected by hand"


@pytest.fixture(name="corrected")
def corrected_result(cohort: Path, out: Path, engine: object) -> Path:
    batch(cohort, out)
    (out / RESULT).write_bytes(WORK)
    return out / RESULT


def warnings_of(out: Path) -> str:
    return " ".join(read_manifest(out / "manifest.jsonl")["site0/case00"].warnings)


def test_a_corrected_result_is_kept_beside_the_new_one_and_told(cohort, out, corrected, caplog):
    with caplog.at_level(logging.WARNING):
        result = batch(cohort, out)
    assert result.kept == 2 and (out / ASIDE.format(1)).read_bytes() == WORK
    assert corrected.read_bytes() != WORK
    assert ASIDE.format(1) in warnings_of(out) and "1, such as" in caplog.text
    assert ASIDE.format(1) in result.page.read_text(encoding="utf-8")


def test_each_correction_is_kept_and_told_as_long_as_it_is_there(cohort, out, corrected):
    batch(cohort, out)
    corrected.write_bytes(b"again")
    batch(cohort, out)
    assert batch(cohort, out).kept == 3
    assert (out / ASIDE.format(1)).read_bytes() == WORK
    assert (out / ASIDE.format(2)).read_bytes() == b"again"
    assert all(warnings_of(out).count(ASIDE.format(number)) == 1 for number in (1, 2))
    for number in (1, 2):
        (out / ASIDE.format(number)).unlink()
    batch(cohort, out)
    assert warnings_of(out) == ""


@pytest.mark.parametrize("content", [b"", b"damaged"])
def test_a_correction_survives_that_its_image_fails(cohort, out, corrected, content):
    (cohort / "site0/case00.nii.gz").write_bytes(content)
    result = batch(cohort, out)
    assert len(result.failed) == 2 and not corrected.exists()
    assert (out / ASIDE.format(1)).read_bytes() == WORK
    assert ASIDE.format(1) in warnings_of(out)


def test_a_correction_survives_that_its_study_crashes(cohort, out, corrected):
    run_with(cohort, out, crashing)
    assert (out / ASIDE.format(1)).read_bytes() == WORK


def test_a_correction_survives_that_all_results_are_replaced(cohort, out, corrected):
    batch(cohort, out, format="nii.gz", overwrite=True)
    assert [name for name in files(out) if name.endswith(".seg.nrrd")] == [ASIDE.format(1)]
    assert (out / ASIDE.format(1)).read_bytes() == WORK and ASIDE.format(1) in warnings_of(out)


def test_a_correction_is_told_of_a_study_that_is_not_found_any_more(cohort, out, corrected):
    (cohort / "site0/case00.nii.gz").unlink()
    result = batch(cohort, out, format="nii.gz", overwrite=True)
    assert ASIDE.format(1) in warnings_of(out)
    assert ASIDE.format(1) in result.page.read_text(encoding="utf-8")


def test_what_a_killed_run_wrote_and_did_not_record_is_nobody_s_work(cohort, out, engine):
    batch(cohort, out)
    write_study(cohort / "site0/case00.nii.gz", 3)

    def killed(studies):
        (out / RESULT).write_bytes(b"of the changed image")
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        run_with(cohort, out, killed)
    assert read_manifest(out / "manifest.jsonl")["site0/case00"].error_kind == CHANGED
    again = batch(cohort, out)
    assert again.kept == 2 and warnings_of(out) == ""
    assert not [name for name in files(out) if "changed" in name]


def test_an_outdated_result_is_gone_before_somebody_could_correct_it(cohort, out, engine):
    batch(cohort, out)
    write_study(cohort / "site0/case00.nii.gz", 3)

    def stopped(studies):
        assert not (out / RESULT).exists()
        assert not (out / "pictures/site0/case00.jpg").exists()
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        run_with(cohort, out, stopped)
    assert batch(cohort, out).kept == 2 and warnings_of(out) == ""


def test_a_correction_is_not_told_of_an_image_from_elsewhere(tmp_path, out, engine):
    for number in (1, 2):
        write_study(tmp_path / f"patient{number}/ct.nii.gz", number)
    batch(tmp_path / "patient1", out)
    (out / "segmentations/ct.seg.nrrd").write_bytes(WORK)
    other = batch(tmp_path / "patient2", out, overwrite=True)
    assert [(one.name, one.warnings) for one in other.records] == [("ct-2", ())]
    assert (out / "segmentations/ct.seg.nrrd").read_bytes() == WORK


@pytest.mark.skipif(sys.platform == "win32", reason="links take rights there")
def test_a_correction_on_another_disk_is_kept_too(cohort, out, corrected, tmp_path):
    corrected.parent.rename(tmp_path / "disk")
    corrected.parent.symlink_to(tmp_path / "disk")
    batch(cohort, out)
    assert (out / ASIDE.format(1)).read_bytes() == WORK and ASIDE.format(1) in warnings_of(out)
