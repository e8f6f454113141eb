"""Folders of DICOM files that are damaged, or still being copied, when studies are searched for."""

from __future__ import annotations

import logging

import pytest

pytest.importorskip("PIL")
from cohorts import BrightEngine, use_engine
from dicom_files import NAME, two_series, values, write_series
from phantom import make_card

from GDLACore.cohort.plan import find_studies
from GDLACore.cohort.settings import BatchSettings
from GDLACore.cohort.worker import StudyWorker


@pytest.fixture(name="at_work")
def worker(tmp_path, monkeypatch):
    use_engine(monkeypatch, BrightEngine(make_card()))
    return StudyWorker(BatchSettings(tmp_path / "out"))


@pytest.mark.parametrize("series", [1, 2])
def test_a_folder_that_is_whole_only_when_its_turn_comes_has_failed_without_its_descriptions(
    tmp_path, at_work, series
):
    make = two_series if series == 2 else lambda folder: write_series(folder, values())
    folder = make(tmp_path / "in/ct")
    torn = sorted(folder.iterdir())[0]
    whole = torn.read_bytes()
    torn.write_bytes(whole[:64])
    (found,) = find_studies([folder])
    torn.write_bytes(whole)
    record = at_work.run(found)
    assert record.status == "failed" and record.input_sha256 is None
    assert "could not be read when it was found" in record.error and torn.name in record.error
    assert record.error.endswith("give the command again.")
    assert not any(word in record.to_line() for word in (NAME, "Abdomen", "Lung", "--series"))


def test_an_emptied_image_is_told_as_damage_and_not_as_no_image_too(tmp_path, caplog, at_work):
    folder = write_series(tmp_path / "ct", values())
    emptied = sorted(folder.iterdir())[2]
    emptied.write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        (found,) = find_studies([tmp_path])
    assert not caplog.records
    assert emptied.name in at_work.run(found).error
