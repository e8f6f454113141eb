"""What becomes of one study, whatever is wrong with it."""

from __future__ import annotations

import errno
import logging
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK

pytest.importorskip("PIL")
from cohorts import BrightEngine, study, use_engine, write_study
from dicom_files import values, write_series
from image_files import four
from phantom import make_card

from GDLACore.atomic import unwritable
from GDLACore.cohort import worker
from GDLACore.cohort.doubt import study_doubt
from GDLACore.cohort.hashes import file_hash
from GDLACore.cohort.plan import Study, find_studies
from GDLACore.cohort.record import DISK_ERROR
from GDLACore.cohort.settings import BatchSettings
from GDLACore.cohort.worker import StudyWorker
from GDLACore.errors import EngineError
from GDLACore.imaging.reading import read_volume
from GDLACore.pipeline import segment_volume


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> BrightEngine:
    engine = BrightEngine(make_card())
    use_engine(monkeypatch, engine)
    return engine


@pytest.fixture
def at_work(tmp_path: Path, engine: BrightEngine) -> StudyWorker:
    return StudyWorker(BatchSettings(tmp_path / "out"))


def test_a_study_becomes_a_segmentation_a_picture_and_a_record(tmp_path, engine, at_work):
    path = write_study(tmp_path / "ct.nii.gz", 2)
    record = at_work.run(Study("site/ct", path))
    assert (record.name, record.status, record.input) == ("site/ct", "done", str(path))
    assert record.input_sha256 == file_hash(path)
    assert record.output == "segmentations/site/ct.seg.nrrd"
    output = tmp_path / "out" / record.output
    assert record.output_sha256 == file_hash(output)
    expected = segment_volume(read_volume(path), engine)
    assert np.array_equal(read_volume(output).array, expected)
    assert record.volumes_ml["liver"] == pytest.approx(2 * 4 * 4 * 0.75 * 1.5 * 4 / 1000)
    assert record.volumes_ml["spleen"] == 0.0
    assert list(record.seconds) == ["reading", "segmenting", "writing"]
    assert 0 <= record.doubt < 1
    picture = tmp_path / "out/pictures/site/ct.jpg"
    assert picture.read_bytes().startswith(b"\xff\xd8\xff")


@pytest.mark.parametrize("format_", ["nii.gz", "nrrd"])
def test_other_formats_are_other_endings(tmp_path, engine, format_):
    path = write_study(tmp_path / "ct.nii.gz")
    with StudyWorker(BatchSettings(tmp_path / "out", format=format_)) as at_work:
        record = at_work.run(study(path))
    assert record.output == f"segmentations/ct.{format_}"
    assert SimpleITK.GetArrayFromImage(
        SimpleITK.ReadImage(str(tmp_path / "out" / record.output))
    ).any()
    assert engine.closed


def test_the_same_study_has_the_same_hashes_each_time(tmp_path, at_work, engine):
    path = write_study(tmp_path / "ct.nii.gz")
    first = at_work.run(study(path))
    again = StudyWorker(BatchSettings(tmp_path / "elsewhere")).run(study(path))
    assert again.output_sha256 == first.output_sha256
    assert again.doubt == first.doubt


def refuse_everything(*_: object) -> object:
    raise EngineError("The network failed: no.", "Try the device cpu.")


def run_out_of_memory(*_: object) -> object:
    raise MemoryError


def be_broken(*_: object) -> object:
    raise KeyError("x")


@pytest.mark.parametrize(
    ("behaviour", "kind", "words"),
    [
        (refuse_everything, "EngineError", "The network failed: no. Try the device cpu."),
        (run_out_of_memory, "MemoryError", "not enough memory"),
        (be_broken, "EngineError", "The network failed"),
    ],
)
def test_what_happens_in_the_engine_is_told_in_the_record(
    tmp_path, engine, at_work, behaviour, kind, words
):
    path = write_study(tmp_path / "ct.nii.gz")
    engine._labels_and_confidence = behaviour
    engine._is_out_of_memory = lambda error: False
    if kind == "MemoryError":
        engine.predict_with_confidence = behaviour
    record = at_work.run(study(path))
    assert (record.status, record.error_kind) == ("failed", kind)
    assert words in record.error
    assert record.input_sha256 == file_hash(path)


def test_an_error_of_our_own_fails_the_study_and_no_more(tmp_path, at_work, monkeypatch):
    monkeypatch.setattr(worker, "structure_table", be_broken)
    record = at_work.run(study(write_study(tmp_path / "ct.nii.gz")))
    assert "Unexpected KeyError" in record.error


def test_unreadable_studies_are_told_in_a_sentence_each(tmp_path, at_work):
    (tmp_path / "empty.nii.gz").write_bytes(b"")
    (tmp_path / "text.nrrd").write_text("hello")
    four(tmp_path / "film.nii.gz")
    for name in ("empty.nii.gz", "text.nrrd", "film.nii.gz", "gone.nii.gz"):
        record = at_work.run(study(tmp_path / name))
        assert record.status == "failed" and record.error_kind == "VolumeError"
        assert name.partition(".")[0] in record.error
    assert not (tmp_path / "out").exists()


def test_a_series_that_lost_a_file_since_it_was_found_fails(tmp_path, at_work):
    folder = write_series(tmp_path / "ct", values())
    record = at_work.run(
        Study("ct", folder, None, (*sorted(p.name for p in folder.iterdir()), "x"))
    )
    assert record.status == "failed" and "cannot be read" in record.error


def test_an_image_of_another_kind_fails_without_the_patient_s_name(tmp_path, at_work):
    folder = write_series(tmp_path / "mr", values(), Modality="MR")
    record = at_work.run(*find_studies([folder]))
    assert "is a MR image" in record.error and "Secret" not in record.to_line()


@pytest.mark.parametrize(
    ("number", "place", "kind"),
    [
        (errno.ENOSPC, None, DISK_ERROR),
        (errno.EROFS, "out/segmentations/x", DISK_ERROR),
        (errno.EIO, "ct.nii.gz", "OutputError"),
        (errno.ENAMETOOLONG, "out/segmentations/x", "OutputError"),
    ],
)
def test_a_disk_that_refuses_is_told_from_a_study_that_is_wrong(
    tmp_path, at_work, monkeypatch, number, place, kind
):
    def refuse(path: Path, *_: object, **__: object) -> None:
        cause = OSError(number, os.strerror(number))
        cause.filename = None if place is None else str(tmp_path / place)
        raise unwritable(path, cause) from cause

    monkeypatch.setattr(worker, "write_segmentation", refuse)
    record = at_work.run(study(write_study(tmp_path / "ct.nii.gz")))
    assert record.error_kind == kind and "cannot be written" in record.error


def test_a_size_that_is_no_number_fails_the_study_and_not_the_run(tmp_path, at_work, monkeypatch):
    monkeypatch.setattr(
        worker, "structure_table", lambda *_: [SimpleNamespace(name="liver", millilitres=np.inf)]
    )
    record = at_work.run(study(write_study(tmp_path / "ct.nii.gz")))
    assert record.error_kind == "VolumeError" and "no finite size" in record.error
    assert record.to_line() and not (tmp_path / "out").exists()


def test_a_single_voxel_of_a_fine_image_has_a_volume(tmp_path, at_work, monkeypatch):
    tiny = [SimpleNamespace(name="liver", millilitres=0.0000412345)]
    monkeypatch.setattr(worker, "structure_table", lambda *_: tiny)
    record = at_work.run(study(write_study(tmp_path / "ct.nii.gz")))
    assert record.volumes_ml == {"liver": 0.0000412}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_folder_with_a_name_that_is_no_text_fails_and_ends_nothing(tmp_path, at_work):
    folder = write_series(tmp_path / "x", values()).rename(tmp_path / "x\udcff")
    (found,) = find_studies([folder])
    record = at_work.run(found)
    assert record.status == "failed" and "is not valid UTF-8" in record.error


def test_several_volumes_in_one_are_not_told_of_options_that_there_are_not(tmp_path, at_work):
    four(tmp_path / "film.nii.gz")
    record = at_work.run(study(tmp_path / "film.nii.gz"))
    assert "holds" in record.error and "gdla segment --frame" in record.error
    assert "--frame N" not in record.error


def test_dicom_is_refused_for_other_images_before_the_work(tmp_path, engine):
    pytest.importorskip("highdicom")
    engine._labels_and_confidence = be_broken
    at_work = StudyWorker(BatchSettings(tmp_path / "out", format="dcm"))
    record = at_work.run(study(write_study(tmp_path / "ct.nii.gz")))
    assert record.error_kind == "OutputError" and "not read from DICOM" in record.error


def test_warnings_belong_to_the_study_they_are_of(tmp_path, at_work, caplog):
    plain = write_study(tmp_path / "plain.nii.gz")
    image = SimpleITK.ReadImage(str(plain))
    SimpleITK.WriteImage(SimpleITK.Abs(image), str(tmp_path / "strange.nii.gz"))
    paths = [tmp_path / "strange.nii.gz", plain]
    with caplog.at_level(logging.WARNING):
        strange, normal = at_work.run_all(map(study, paths))
    assert len(strange.warnings) == 1 and "neither air nor fat" in strange.warnings[0]
    assert not [text for text in normal.warnings if "strange" in text]
    assert logging.getLogger("GDLACore").handlers == []


def test_records_come_in_order_while_the_next_study_is_read(tmp_path, at_work, engine, monkeypatch):
    paths = [write_study(tmp_path / f"{n}.nii.gz", n) for n in range(3)]
    second_was_read = threading.Event()
    read, predict = worker.read_volume, engine.predict_with_confidence

    def reading(path):
        if path == paths[1]:
            second_was_read.set()
        return read(path)

    def predicting(slices, borders):
        assert second_was_read.wait(60), "nothing was read ahead"
        return predict(slices, borders)

    monkeypatch.setattr(worker, "read_volume", reading)
    engine.predict_with_confidence = predicting
    records = list(at_work.run_all(map(study, paths)))
    assert [record.name for record in records] == ["0", "1", "2"]
    alone = [StudyWorker(BatchSettings(tmp_path / "alone")).run(study(path)) for path in paths]
    assert [r.output_sha256 for r in records] == [r.output_sha256 for r in alone]


def test_doubt_is_a_share_that_knows_nothing_found_and_nothing_known():
    labels = np.zeros((2, 3, 4), np.uint8)
    sure = np.ones(labels.shape, np.float16)
    assert study_doubt(labels, sure) == 0.0
    assert study_doubt(labels, sure * 0) == 1.0
    assert study_doubt(labels, np.full_like(sure, np.nan)) == 1.0
    labels[0] = 1
    assert study_doubt(labels, sure * 0) == pytest.approx(12 / (12 + 12))
    assert study_doubt(labels, sure * 0.5) < study_doubt(labels, sure * 0.25)


def test_each_series_of_a_folder_becomes_a_dicom_segmentation_of_that_series(tmp_path, engine):
    pytest.importorskip("highdicom")
    import pydicom
    from dicom_objects import write_images
    from pydicom.uid import generate_uid

    folder = write_images(tmp_path / "exam")
    other = write_images(
        tmp_path / "other", SeriesInstanceUID=generate_uid(), SeriesNumber=9, SliceThickness=2
    )
    for path in sorted(other.iterdir()):
        image = pydicom.dcmread(path)
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        image.save_as(folder / f"other-{path.name}")
        path.unlink()
    at_work = StudyWorker(BatchSettings(tmp_path / "out", format="dcm"))
    plan = find_studies([folder])
    assert [one.name for one in plan] == ["exam/series-1", "exam/series-2"]
    for one, record in zip(plan, at_work.run_all(plan), strict=True):
        assert record.done, record.error
        source = {pydicom.dcmread(folder / name).SOPInstanceUID for name in one.files}
        written = pydicom.dcmread(tmp_path / "out" / record.output)
        assert written.Modality == "SEG"
        (series,) = written.ReferencedSeriesSequence
        referred = {item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence}
        assert referred and referred <= source
