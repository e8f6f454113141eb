"""What segments the studies, one after the other, with one engine."""

from __future__ import annotations

import errno
import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

import GDLACore
from GDLACore.cohort.doubt import study_doubt
from GDLACore.cohort.files import make_folder, picture_of, segmentation_of
from GDLACore.cohort.hashes import file_hash, input_hash
from GDLACore.cohort.picture import write_picture
from GDLACore.cohort.plan import Study, why_unreadable
from GDLACore.cohort.record import DISK_ERROR, DONE, FAILED, StudyRecord
from GDLACore.cohort.settings import BatchSettings
from GDLACore.cohort.told_warnings import warnings_of_this_thread
from GDLACore.engine import Engine, load_engine
from GDLACore.errors import GDLAError, OutputError, ServerError, VolumeError
from GDLACore.imaging.dicom import read_dicom_series
from GDLACore.imaging.dicom_seg import check_dicom_source
from GDLACore.imaging.measure import structure_table
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.volume import Volume
from GDLACore.imaging.writing import write_segmentation
from GDLACore.model.card import ModelCard
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import segment_volume_with_confidence
from GDLACore.remote.fall_back import EngineWithFallBack
from GDLACore.remote.troubles import Refused, WrongAnswer

_LOG = logging.getLogger(__name__)

# What the disk cannot do for any study.
_OF_THE_DISK = {errno.ENOSPC, errno.EROFS, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC)}

_MOST_READERS, _CORES_OF_A_READER = 4, 4

# How many studies are read ahead: one core decodes DICOM more slowly than a GPU segments it. Each
# is a volume in memory.
AHEAD = max(1, min(_MOST_READERS, (os.cpu_count() or 1) // _CORES_OF_A_READER))


@dataclass(frozen=True, eq=False)
class _Read:
    """A study's image, or why there is none."""

    study: Study
    seconds: float
    sha256: str | None = None
    volume: Volume | None = None
    error: Exception | None = None
    warnings: tuple[str, ...] = ()


class StudyWorker:
    """Segments studies as ``settings`` say. Loads the model once; close it, or use ``with``.

    A server's is loaded again where that may help: it went on to another version, or failed some
    time ago. All studies are done with the same weights and the same card.

    Raises what ``load_engine`` raises.
    """

    def __init__(self, settings: BatchSettings) -> None:
        self._settings = settings
        self._computing = threading.Lock()
        self._engine: Engine | None = _loaded(settings)
        self.card: ModelCard = self._engine.card

    def describe(self) -> str:
        """Return the device in use in words; raise what ``load_engine`` raises."""
        return self._ready_engine().describe()

    def run(self, study: Study) -> StudyRecord:
        """Segment ``study``, write the result and a picture of it, and return what became of it.

        Whatever is wrong with the study is told in the record. Only what ends the program is
        raised. Of a study that failed, a result may be there, of this run or another. May be called
        on several threads: one computes, and the others read meanwhile.
        """
        read = _read(study)
        with self._computing:
            return self._finished(read)

    def run_all(self, studies: Iterable[Study]) -> Generator[StudyRecord, None, None]:
        """Return the records of ``studies`` in their order; some are read while one computes."""
        with ThreadPoolExecutor(AHEAD, "gdla-read") as pool:
            ahead: deque[Future[_Read]] = deque()
            for study in studies:
                ahead.append(pool.submit(_read, study))
                if len(ahead) > AHEAD:
                    yield self._finished(ahead.popleft().result())
            while ahead:
                yield self._finished(ahead.popleft().result())

    def close(self) -> None:
        """Give the model's memory back."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def __enter__(self) -> StudyWorker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _finished(self, read: _Read) -> StudyRecord:
        """Return the record of a study that was read, segmented if it can be."""
        study = read.study
        record = StudyRecord(
            study.name,
            FAILED,
            str(study.path),
            study.series,
            input_sha256=read.sha256,
            seconds={"reading": round(read.seconds, 4)},
            warnings=read.warnings,
            version=GDLACore.__version__,
        )
        try:
            if read.error is not None:
                raise read.error
            assert read.volume is not None
            with warnings_of_this_thread() as told:
                record = self._segmented(record, study, read.volume)
            if (fallen_back := self._fall_back_warning()) and fallen_back not in told:
                told.append(fallen_back)
            return replace(record, warnings=(*read.warnings, *told))
        except Exception as error:  # of any kind: the next study has done nothing wrong
            _LOG.info("A study failed.", exc_info=error)
            if isinstance(error, (Refused, WrongAnswer)):
                self.close()  # it may be of a version that the server has no more
            kind = _kind(error, self._settings.output)
            return replace(record, error=_sentence(error), error_kind=kind)

    def _segmented(self, record: StudyRecord, study: Study, volume: Volume) -> StudyRecord:
        settings, card = self._settings, self.card
        if settings.format == "dcm":
            check_dicom_source(volume)  # before the work, which would be for nothing
        start = time.perf_counter()
        options = SegmentOptions(
            borders=settings.borders, largest_component=settings.largest_component
        )
        engine = self._ready_engine()
        labels, confidence = segment_volume_with_confidence(volume, engine, options)
        volumes_ml = {
            # A single voxel is not nothing.
            row.name: round(row.millilitres, 4) or float(f"{row.millilitres:.3g}")
            for row in structure_table(labels, volume, card)
        }
        doubt = round(study_doubt(labels, confidence), 6)
        if not all(map(math.isfinite, (*volumes_ml.values(), doubt))):
            raise VolumeError(
                f"What was found in {volume.name} has no finite size.", "Export the image again."
            )
        segmented = time.perf_counter()
        output = segmentation_of(study.name, settings.format)
        path, picture = settings.output / output, settings.output / picture_of(study.name)
        make_folder(path.parent)
        write_segmentation(path, labels, volume, card, overwrite=True)
        sha256 = file_hash(path)
        make_folder(picture.parent)
        write_picture(picture, volume, labels, card)
        written = time.perf_counter()
        return replace(
            record,
            status=DONE,
            output=output,
            output_sha256=sha256,
            seconds={
                **record.seconds,
                "segmenting": round(segmented - start, 4),
                "writing": round(written - segmented, 4),
            },
            volumes_ml=volumes_ml,
            doubt=doubt,
        )

    def _ready_engine(self) -> Engine:
        """Return the engine, loaded again if it was given up or its server may be back."""
        if isinstance(self._engine, EngineWithFallBack) and self._engine.should_be_opened_again:
            self.close()
        if self._engine is None:
            engine = _loaded(self._settings)
            if not _is_same_model(engine.card, self.card):
                engine.close()
                raise ServerError(
                    f"The model {self.card.name} is not the one that the run began with any more.",
                    "Have the server's model back, or begin the run anew (--force).",
                )
            engine.use_card(self.card)
            self._engine = engine
        return self._engine

    def _fall_back_warning(self) -> str:
        return self._engine.warning if isinstance(self._engine, EngineWithFallBack) else ""


def _loaded(settings: BatchSettings) -> Engine:
    return load_engine(
        settings.model,
        device=settings.device,
        card=settings.card,
        runtime=settings.runtime,
        threads=settings.threads,
        server=settings.server,
    )


def _is_same_model(card: ModelCard, before: ModelCard) -> bool:
    same_weights = None in (card.sha256, before.sha256) or card.sha256 == before.sha256
    return same_weights and card.version == before.version


def _read(study: Study) -> _Read:
    """Read ``study``; never raise, for what is wrong belongs into its record."""
    start = time.perf_counter()
    read = _Read(study, 0.0)
    with warnings_of_this_thread() as told:
        try:
            read = replace(read, sha256=input_hash(study))
            read = replace(read, volume=_volume(study))
        except OSError as error:
            read = replace(read, error=why_unreadable(error, study.path))
        except Exception as error:
            read = replace(read, error=error)
    return replace(read, seconds=time.perf_counter() - start, warnings=tuple(told))


def _volume(study: Study) -> Volume:
    try:
        os.path.join(study.path, *study.files).encode("utf-8")
    except UnicodeEncodeError:
        # ITK ends the whole program over such a name.
        raise VolumeError(
            f"A name in {ascii(str(study.path))} is not valid UTF-8.", "Rename the file or folder."
        ) from None
    if study.files:
        return read_dicom_series([study.path / name for name in study.files], study.path.name)
    return read_volume(study.path)


def _kind(error: Exception, output: Path) -> str:
    if isinstance(error, OutputError) and isinstance(cause := error.__cause__, OSError):
        # Only where results lie: an image that was to be copied from may be on another disk.
        there = cause.filename is None or output in Path(os.fsdecode(cause.filename)).parents
        if there and cause.errno in _OF_THE_DISK:
            return DISK_ERROR
    if isinstance(error, ServerError):
        return ServerError.__name__  # of whatever kind: it is no study's fault
    return type(error).__name__


def _sentence(error: Exception) -> str:
    if isinstance(error, GDLAError) and "--frame" in error.hint:
        return f"{error.message} Save one as an image of its own, or use gdla segment --frame."
    if isinstance(error, GDLAError):
        return str(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory for this study. Close other programs and try again."
    return f"Unexpected {type(error).__name__}: {error}."
