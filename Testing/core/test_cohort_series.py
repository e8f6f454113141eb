"""Series of one folder: which is which when others join or go, for their numbers change then."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("PIL")
from cohort_fixtures import counting_engine, output  # noqa: F401
from cohorts import batch, crashing, files, process_here, run_with, timeless
from dicom_files import values, write_series

from GDLACore.cohort.manifest import read_manifest
from GDLACore.cohort.plan import find_studies
from GDLACore.cohort.run import run_batch
from GDLACore.cohort.settings import BatchSettings

P1, P7, P9 = "1.2.3", "1.2.5", "1.2.9"  # in the order of their numbers


def add(flat: Path, uid: str, patient: str = "", slices: int = 2) -> None:
    """Write a series of a patient of its own into the folder ``flat``."""
    who = patient or uid
    tags = {"SeriesInstanceUID": uid, "StudyInstanceUID": uid, "PatientID": who}
    folder = write_series(flat.parent / who, values(int(who[-1]))[:slices], SeriesNumber=2, **tags)
    flat.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.rename(flat / f"{who}-{path.name}")


def remove(flat: Path, uid: str) -> None:
    for path in flat.glob(f"{uid}-*"):
        path.unlink()


@pytest.fixture(name="flat")
def folder_of_two(tmp_path: Path) -> Path:
    for uid in (P7, P9):
        add(tmp_path / "in/flat", uid)
    return tmp_path / "in/flat"


def segmentations(out: Path) -> dict[str, bytes]:
    return {name: data for name, data in files(out).items() if name.startswith("segmentations")}


def test_a_series_that_joins_takes_no_name_and_has_nothing_done_again(flat, out, engine):
    first = batch(flat.parent, out)
    before = segmentations(out)
    add(flat, P1)
    again = batch(flat.parent, out)
    assert again.kept == 2
    assert [(one.name, one.series) for one in again.records] == [
        *(("flat/series-1-2", "1"), ("flat/series-1", "2"), ("flat/series-2", "3"))
    ]
    assert before.items() <= segmentations(out).items()
    assert [one.output_sha256 for one in again.records[1:]] == [
        one.output_sha256 for one in first.records
    ]
    assert timeless(batch(flat.parent, out).records) == timeless(again.records)


def test_a_run_that_is_killed_after_series_joined_gives_the_names_that_it_would_have_given(
    flat, out, engine
):
    batch(flat.parent, out)
    for uid in (P1, "1.2.4"):
        add(flat, uid)
    settings = BatchSettings(out)

    def killed(studies):
        with closing(process_here(settings)(list(studies)[::-1])) as made:
            yield next(made)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_batch(find_studies([flat]), settings, killed)
    again = batch(flat.parent, out)
    assert again.kept == 3
    assert [one.name for one in again.records] == [
        *("flat/series-1-2", "flat/series-2-2", "flat/series-1", "flat/series-2")
    ]


def test_a_series_that_cannot_be_read_is_not_taken_for_that_of_its_number(flat, out, engine):
    batch(flat.parent, out)
    before = segmentations(out)
    add(flat, P1)
    plan = find_studies([flat.parent])
    next(flat.glob(f"{P1}-*")).unlink()
    settings = BatchSettings(out)
    result = run_batch(plan, settings, process_here(settings))
    assert [one.status for one in result.records] == ["failed", "done", "done"]
    assert result.kept == 2 and segmentations(out) == before
    recorded = read_manifest(out / "manifest.jsonl")
    assert recorded["flat/series-1"].series == "2" and recorded["flat/series-1"].done
    assert not recorded["flat/series-1-2"].done


def test_the_only_series_of_a_folder_stays_the_same_when_a_second_one_joins(tmp_path, out, engine):
    flat = tmp_path / "in/flat"
    add(flat, P7)
    assert [one.name for one in batch(flat.parent, out).records] == ["flat"]
    add(flat, P1)
    both = batch(flat.parent, out)
    assert both.kept == 1 and [one.name for one in both.records] == ["flat/series-1", "flat"]
    assert "not found this time" not in both.page.read_text(encoding="utf-8")
    remove(flat, P7)
    left = batch(flat.parent, out)
    assert left.kept == 1 and [one.name for one in left.records] == ["flat/series-1"]
    assert read_manifest(out / "manifest.jsonl")["flat"].done


def test_another_series_in_place_of_the_only_one_leaves_its_result_alone(tmp_path, out, engine):
    flat = tmp_path / "in/flat"
    add(flat, P7)
    batch(flat.parent, out)
    before = segmentations(out)
    remove(flat, P7)
    add(flat, P9)
    assert [one.name for one in batch(flat.parent, out).records] == ["flat-2"]
    assert before.items() <= segmentations(out).items()


def test_a_series_that_has_grown_is_done_again_under_its_name(flat, out, engine):
    batch(flat.parent, out)
    remove(flat, P7)
    add(flat, P7, slices=3)
    add(flat, P1)
    again = batch(flat.parent, out)
    assert again.kept == 1
    assert [one.name for one in again.records][1:] == ["flat/series-1", "flat/series-2"]
    assert again.records[1].done and again.records[1].series == "2"


def test_series_of_one_uid_are_known_by_their_images(tmp_path, out, engine):
    flat = tmp_path / "in/flat"
    for patient in ("p7", "p9"):
        add(flat, P7, patient)
    first = {one.name: one.input_sha256 for one in batch(flat.parent, out).records}
    add(flat, P7, "p1")
    again = batch(flat.parent, out)
    assert again.kept == 2 and [one.series_sha256 for one in again.records] == [None] * 3
    assert first.items() < {one.name: one.input_sha256 for one in again.records}.items()


def test_a_torn_file_beside_a_series_costs_no_earlier_result(tmp_path, out, engine):
    flat = tmp_path / "in/flat"
    add(flat, P7)
    batch(flat.parent, out)
    before = segmentations(out)
    add(flat, P1)
    torn = next(flat.glob(f"{P1}-*"))
    whole = torn.read_bytes()
    torn.write_bytes(whole[:64])
    result = batch(flat.parent, out)
    assert "earlier run is kept" in result.failed[0].warnings[0]
    assert segmentations(out) == before
    torn.write_bytes(whole)
    assert [one.name for one in batch(flat.parent, out).records] == ["flat/series-1", "flat"]
    assert before.items() <= segmentations(out).items()


def test_the_manifest_knows_a_series_by_a_hash_and_not_by_its_uid(flat, out, engine):
    batch(flat.parent, out)
    lines = (out / "manifest.jsonl").read_text().splitlines()
    assert len({json.loads(line)["series_sha256"] for line in lines}) == 2
    assert not any(P7 in line or P9 in line for line in lines)


def told(out: Path) -> list[str]:
    """Return the studies of which a changed result is told."""
    records = read_manifest(out / "manifest.jsonl").values()
    return [one.name for one in records if "series-1.changed-1" in " ".join(one.warnings)]


def test_a_correction_stays_with_its_series_when_all_begins_anew(flat, out, engine):
    first = batch(flat.parent, out)
    (out / "segmentations/flat/series-1.seg.nrrd").write_bytes(b"corrected")
    add(flat, P1)
    anew = batch(flat.parent, out, format="nii.gz", overwrite=True)
    assert [one.name for one in anew.records] == [
        *("flat/series-1-2", "flat/series-1", "flat/series-3")
    ]
    assert told(out) == ["flat/series-1"]
    assert anew.records[1].series_sha256 == first.records[0].series_sha256


def test_no_other_series_gets_the_name_of_a_corrected_one_that_failed(flat, out, engine):
    batch(flat.parent, out)
    (out / "segmentations/flat/series-1.seg.nrrd").write_bytes(b"corrected")
    run_with(flat.parent, out, crashing)
    remove(flat, P7)
    add(flat, P1)
    result = batch(flat.parent, out)
    assert [one.name for one in result.records] == ["flat/series-1-2", "flat/series-2"]
    assert told(out) == ["flat/series-1"]


def test_a_damaged_folder_does_not_make_a_corrected_series_nameless(tmp_path, out, engine):
    flat = tmp_path / "in/flat"
    add(flat, P7)
    batch(flat.parent, out)
    (out / "segmentations/flat.seg.nrrd").write_bytes(b"corrected")
    next(flat.iterdir()).write_bytes(b"damaged")
    assert [one.name for one in batch(flat.parent, out).failed] == ["flat"]
    remove(flat, P7)
    add(flat, P9)
    other = batch(flat.parent, out)
    assert [(one.name, one.warnings) for one in other.records] == [("flat-2", ())]
    remove(flat, P9)
    add(flat, P7)
    again = batch(flat.parent, out)
    assert [one.name for one in again.records] == ["flat"] and again.records[0].done
