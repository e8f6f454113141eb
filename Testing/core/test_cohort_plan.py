"""What studies are found in files and folders, and what they are called."""

from __future__ import annotations

import errno
import logging
import os
import sys
import unicodedata

import numpy as np
import pydicom
import pytest
from cohorts import BrightEngine, use_engine, write_study
from dicom_files import NAME, SERIES, save, two_series, values, write_series
from image_files import write
from phantom import make_card
from pydicom.uid import BasicTextSRStorage

from GDLACore.cohort import plan
from GDLACore.cohort.hashes import input_hash
from GDLACore.cohort.plan import PICTURE_SUFFIXES, VOLUME_SUFFIXES, Study, find_studies
from GDLACore.cohort.settings import BatchSettings
from GDLACore.cohort.worker import StudyWorker
from GDLACore.errors import VolumeError
from GDLACore.imaging.dicom import read_dicom_series

WITH_LINKS = pytest.mark.skipif(sys.platform == "win32", reason="it makes no links")


def names(studies: list[Study]) -> list[str]:
    return [study.name for study in studies]


def test_files_and_series_of_a_tree_are_found_in_one_order(tmp_path):
    write_study(tmp_path / "b/late.nrrd")
    write_study(tmp_path / "b/early.nii.gz")
    write_series(tmp_path / "a/CT", values())
    found = find_studies([tmp_path])
    assert names(found) == ["a/CT", "b/early", "b/late"]
    assert found == find_studies([tmp_path])
    assert [len(study.files) for study in found] == [5, 0, 0]
    assert all(study.path.is_absolute() for study in found)


def test_each_series_of_a_folder_is_a_study_of_its_own_files(tmp_path):
    folder = two_series(tmp_path / "exam")
    first, second = find_studies([folder])
    assert names([first, second]) == ["exam/series-1", "exam/series-2"]
    assert (first.series, second.series) == ("1", "2")
    assert (len(first.files), len(second.files)) == (5, 3)
    volume = read_dicom_series([second.path / name for name in second.files], "exam")
    expected = read_dicom_series(sorted((tmp_path / "other").iterdir()), "other")
    assert np.array_equal(volume.array, expected.array)
    assert input_hash(first) != input_hash(second)


def test_no_name_tells_what_is_in_a_file(tmp_path):
    folder = two_series(tmp_path / "exam")
    for study in find_studies([folder]):
        assert NAME not in repr(study) and SERIES not in repr(study)


def test_the_same_name_with_another_ending_or_case_keeps_the_ending(tmp_path):
    for name in ("ct.nii.gz", "ct.nrrd", "CT.mha", "mr.nii"):
        write_study(tmp_path / name)
    assert sorted(names(find_studies([tmp_path]))) == ["CT.mha", "ct.nii.gz", "ct.nrrd", "mr"]


def test_names_differ_even_where_case_does_not_count(tmp_path):
    for name in ("a.nii", "A.nii"):
        write_study(tmp_path / name)
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system takes the two for one")
    found = [name.casefold() for name in names(find_studies([tmp_path]))]
    assert len(set(found)) == 2


def test_endings_stay_where_names_differ_in_case_or_in_how_accents_are_stored(tmp_path):
    for pair in (("a.nii", "A.nrrd"), ("\u00e9.nii", "e\u0301.nrrd")):
        for name in pair:
            write_study(tmp_path / name)
    found = [unicodedata.normalize("NFC", name) for name in names(find_studies([tmp_path]))]
    assert sorted(found) == ["A.nrrd", "a.nii", "\u00e9.nii", "\u00e9.nrrd"]


def test_names_of_several_inputs_begin_where_their_paths_part(tmp_path):
    paths = [write_study(tmp_path / f"{who}/ct.nii.gz") for who in ("p1", "p2")]
    assert names(find_studies(paths)) == ["p1/ct", "p2/ct"]
    assert names(find_studies([paths[0]])) == ["ct"]
    assert names(find_studies([tmp_path / "p1", tmp_path / "p2"])) == ["p1/ct", "p2/ct"]


def test_a_name_of_numbers_and_dots_is_not_cut(tmp_path):
    path = write_series(tmp_path / "x", values()[:1]) / "00.dcm"
    path = path.rename(tmp_path / "1.2.840.3")
    assert names(find_studies([path])) == ["1.2.840.3"]


def test_an_input_within_another_is_found_once(tmp_path):
    inner = write_study(tmp_path / "in/ct.nii")
    assert len(find_studies([tmp_path, tmp_path / "in", inner])) == 1


def test_what_is_no_image_is_left_out_and_told_in_one_warning(tmp_path, caplog):
    write_study(tmp_path / "ct.nii.gz")
    for name in ("a.txt", "b.csv", "c.json", "d.pdf", "result.seg.nrrd"):
        (tmp_path / name).write_text("x")
    (tmp_path / ".hidden.nii.gz").write_text("x")
    with caplog.at_level(logging.WARNING):
        assert names(find_studies([tmp_path])) == ["ct"]
    (record,) = caplog.records
    assert "5 files" in record.getMessage() and "a.txt" in record.getMessage()


@pytest.mark.parametrize("suffix", [".nhdr", ".mhd"])
def test_the_pixels_of_a_header_are_neither_odd_nor_forgotten(tmp_path, caplog, suffix):
    path = write(tmp_path / f"ct{suffix}", np.zeros((3, 4, 5), np.int16))
    (found,) = find_studies([tmp_path])
    assert not caplog.records
    before = input_hash(found)
    (pixels,) = [other for other in tmp_path.iterdir() if other != path]
    pixels.write_bytes(pixels.read_bytes()[:-1] + b"\x07")
    assert input_hash(found) != before


def test_the_results_are_no_studies(tmp_path):
    write_study(tmp_path / "ct.nii.gz")
    write_study(tmp_path / "out/segmentations/ct.nii.gz")
    assert names(find_studies([tmp_path], leave_out=tmp_path / "out")) == ["ct"]


@WITH_LINKS
def test_what_lies_below_the_results_is_no_study_however_it_is_reached(tmp_path):
    write_study(tmp_path / "in/ct.nii.gz")
    write_study(tmp_path / "out/segmentations/ct.nii.gz")
    (tmp_path / "in/link").symlink_to(tmp_path / "out/segmentations")
    assert names(find_studies([tmp_path / "in"], leave_out=tmp_path / "out")) == ["ct"]


def test_results_of_earlier_cohorts_are_left_out_with_a_warning(tmp_path, caplog):
    write_study(tmp_path / "ct.nii.gz")
    write_study(tmp_path / "old/segmentations/ct.nii.gz")
    for name in ("settings.json", "manifest.jsonl"):
        (tmp_path / "old" / name).write_text("{}")
    with caplog.at_level(logging.WARNING):
        assert names(find_studies([tmp_path])) == ["ct"]
    (record,) = caplog.records
    assert "1 folder of earlier results" in record.getMessage()


@WITH_LINKS
@pytest.mark.parametrize("unreadable", ["all", "one", "gone"])
def test_dicom_files_that_cannot_be_looked_into_make_their_folder_fail(
    tmp_path, monkeypatch, unreadable
):
    write_study(tmp_path / "ct.nii.gz")
    folder = write_series(tmp_path / "x", values())
    one = sorted(folder.iterdir())[2]
    if unreadable == "gone":  # a link to where nothing is, as archives of links have them
        one.unlink()
        one.symlink_to(tmp_path / "nowhere")
    look = plan.is_dicom

    def refusing(path) -> bool:
        if unreadable == "all" or path == one:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return look(path)

    with monkeypatch.context() as patch:
        if unreadable != "gone":
            patch.setattr(plan, "is_dicom", refusing)
        found = find_studies([tmp_path])
    assert names(found) == ["ct", "x"] and len(found[1].files) == 5
    if unreadable == "gone":
        use_engine(monkeypatch, BrightEngine(make_card()))
        record = StudyWorker(BatchSettings(tmp_path / "out")).run(found[1])
        assert record.status == "failed" and one.name in str(record.error)


def test_links_are_followed_but_not_in_circles(tmp_path):
    write_study(tmp_path / "elsewhere/ct.nii.gz")
    (tmp_path / "in").mkdir()
    try:
        (tmp_path / "in/link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
        (tmp_path / "elsewhere/back").symlink_to(tmp_path / "in", target_is_directory=True)
    except OSError:
        pytest.skip("this system makes no links")
    assert names(find_studies([tmp_path / "in"])) == ["link/ct"]


def test_pictures_are_studies_only_where_asked_for(tmp_path):
    write_study(tmp_path / "ct.nii.gz")
    write(tmp_path / "skin.png", np.zeros((5, 6, 3), np.uint8), vector=True)
    assert names(find_studies([tmp_path])) == ["ct"]
    both = find_studies([tmp_path], suffixes=(*VOLUME_SUFFIXES, *PICTURE_SUFFIXES))
    assert names(both) == ["ct", "skin"]
    assert names(find_studies([tmp_path / "skin.png"])) == ["skin"]


def test_missing_and_empty_inputs_are_refused(tmp_path):
    with pytest.raises(VolumeError, match=r"no file or folder .*nowhere"):
        find_studies([tmp_path / "nowhere"])
    with pytest.raises(VolumeError, match="no image in"):
        find_studies([tmp_path])


def test_a_damaged_dicom_file_spoils_its_folder_and_not_the_search(tmp_path, monkeypatch):
    write_series(tmp_path / "good", values())
    write_series(tmp_path / "bad", values())
    damaged = next((tmp_path / "bad").iterdir())
    image = pydicom.dcmread(damaged)
    del image.Columns
    save(image, damaged)
    bad, good = find_studies([tmp_path])
    assert (bad.name, bad.files, len(good.files)) == ("bad", (), 5)
    use_engine(monkeypatch, BrightEngine(make_card()))
    record = StudyWorker(BatchSettings(tmp_path / "out")).run(bad)
    assert record.status == "failed" and damaged.name in str(record.error)


def test_a_folder_that_cannot_be_looked_into_is_a_study_that_fails(tmp_path, monkeypatch):
    write_study(tmp_path / "good/ct.nii.gz")
    (tmp_path / "locked").mkdir()
    scan = os.scandir

    def refusing(path):
        if os.fspath(path).endswith("locked"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert names(find_studies([tmp_path])) == ["good/ct", "locked"]


def test_a_dicom_folder_with_a_file_that_cannot_be_read_is_a_study_that_fails(
    tmp_path, monkeypatch
):
    folder = write_series(tmp_path / "ct", values())

    def refusing(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))

    monkeypatch.setattr("GDLACore.cohort.plan.find_series", refusing)
    (found,) = find_studies([tmp_path])
    assert (found.path, found.files) == (folder, ())


def test_a_series_in_two_folders_is_told(tmp_path, caplog):
    for folder in ("a", "b"):
        write_series(tmp_path / folder, values())
    with caplog.at_level(logging.WARNING):
        assert names(find_studies([tmp_path])) == ["a", "b"]
    (record,) = caplog.records
    assert "more than one folder" in record.getMessage() and SERIES not in record.getMessage()


def test_dicom_without_an_image_is_no_study_and_nothing_odd(tmp_path, caplog):
    folder = write_series(tmp_path / "ct", values())
    report = pydicom.dcmread(next(folder.iterdir()))
    for tag in ("Rows", "Columns", "PixelData"):
        del report[tag]
    report.SeriesInstanceUID = "1.2.3"
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = BasicTextSRStorage
    save(report, tmp_path / "reports/sr.dcm")
    assert names(find_studies([tmp_path])) == ["ct"]
    assert not caplog.records


@pytest.mark.parametrize("left", [0, 100])
def test_a_series_with_a_file_cut_off_is_a_study_that_fails(tmp_path, monkeypatch, left):
    folder = write_series(tmp_path / "ct", values())
    torn = sorted(folder.iterdir())[-1]
    torn.write_bytes(torn.read_bytes()[:left])
    (found,) = find_studies([tmp_path])
    use_engine(monkeypatch, BrightEngine(make_card()))
    record = StudyWorker(BatchSettings(tmp_path / "out")).run(found)
    assert record.status == "failed" and torn.name in str(record.error)


def test_the_hash_tells_contents_and_not_names(tmp_path):
    (found,) = find_studies([write_series(tmp_path / "one", values())])
    (other,) = find_studies([write_series(tmp_path / "two", values(1))])
    before = input_hash(found)
    assert before != input_hash(other)
    moved = Study("x", found.path.rename(tmp_path / "elsewhere"), None, found.files)
    assert input_hash(moved) == before


def test_the_hash_tells_the_order_of_the_files_that_a_header_names(tmp_path):
    for number in range(3):
        (tmp_path / f"s{number}.raw").write_bytes(bytes([number]) * 20)
    header = tmp_path / "a.mhd"
    header.write_text("ElementDataFile = LIST\ns0.raw\ns1.raw\ns2.raw\n")
    before = input_hash(Study("a", header))
    (tmp_path / "s0.raw").rename(tmp_path / "kept")
    (tmp_path / "s2.raw").rename(tmp_path / "s0.raw")
    (tmp_path / "kept").rename(tmp_path / "s2.raw")
    assert input_hash(Study("a", header)) != before
