"""One run over a cohort: keep what is done, have the rest done, record it as it comes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from GDLACore.cohort.files import MANIFEST, PAGE, remove_results
from GDLACore.cohort.hashes import file_hash, input_hash
from GDLACore.cohort.identity import model_card
from GDLACore.cohort.manifest import OpenManifest, read_manifest, write_manifest
from GDLACore.cohort.output_folder import open_output
from GDLACore.cohort.plan import Study
from GDLACore.cohort.qc_page import write_page
from GDLACore.cohort.record import CRASH, DISK_ERROR, StudyRecord
from GDLACore.cohort.settings import BatchSettings
from GDLACore.errors import EngineError, GDLAError, OutputError

# Takes studies one by one as it can do them, and returns their records in any order. It never
# leaves one out, and raises only if it cannot go on.
Process = Callable[[Iterable[Study]], Generator[StudyRecord, None, None]]

# Called with the phase's name, the steps done, and how many there are.
Report = Callable[[str, int, int], None]

# What is not wrong with the study. If it does not pass, no study can be done.
_EVERYONES = frozenset({DISK_ERROR, CRASH, "ServerError", "DeviceError"})
_MOST_IN_A_ROW = 5


@dataclass(frozen=True)
class BatchResult:
    """The records of the plan's studies, in its order; ``kept`` of them are of earlier runs."""

    records: tuple[StudyRecord, ...]
    kept: int
    page: Path

    @property
    def failed(self) -> tuple[StudyRecord, ...]:
        """Return the records of the studies that could not be segmented."""
        return tuple(record for record in self.records if not record.done)


def run_batch(
    plan: Sequence[Study],
    settings: BatchSettings,
    process: Process,
    *,
    report: Report = lambda phase, done, total: None,
    overwrite: bool = False,
) -> BatchResult:
    """Have ``process`` do what of ``plan`` is not done yet, and return all records.

    May be killed at any moment, and called again: whatever is recorded as done, and has the input,
    the settings and the result that it had then, is not done again. ``overwrite`` allows to replace
    the results of other settings in the folder, all of them.

    Raises OutputError if another run is writing to the folder, or it holds results of other
    settings or of other studies of the same names, EngineError if several studies in a row fail for
    a reason that is not theirs, and whatever ``load_engine`` and ``process`` raise.
    """
    card = model_card(settings)
    with open_output(settings, card, overwrite=overwrite) as folder:
        before = read_manifest(folder / MANIFEST)
        kept = _kept(plan, before, folder, report, overwrite=overwrite)
        records = dict(before)
        todo = [study for study in plan if study.name not in kept]
        with OpenManifest(folder / MANIFEST) as manifest:
            report("studies", len(kept), len(plan))
            with closing(_whole(process, todo)) as made:
                for done, record in enumerate(made, start=len(kept) + 1):
                    if not record.done:
                        # What was made of another image would be taken for this one's.
                        remove_results(folder, record.name, settings.format)
                    manifest.add(record)
                    records[record.name] = record
                    report("studies", done, len(plan))
        in_order = [records.pop(study.name) for study in plan]
        everything = [*in_order, *(records[name] for name in sorted(records))]
        write_manifest(folder / MANIFEST, everything)
        write_page(folder / PAGE, everything, card)
    return BatchResult(tuple(in_order), len(kept), folder / PAGE)


def _kept(
    plan: Sequence[Study],
    before: Mapping[str, StudyRecord],
    folder: Path,
    report: Report,
    *,
    overwrite: bool,
) -> set[str]:
    """Return the names of the studies of which ``before`` has the result, whole and of the same.

    Raises OutputError if a record is of another study, unless that may be overwritten.
    """
    kept: set[str] = set()
    for number, study in enumerate(plan):
        report("checking", number, len(plan))
        record = before.get(study.name)
        if record is None:
            continue
        same = _is_same_input(study, record)
        if same and record.done and _is_whole(folder, record):
            kept.add(study.name)
        elif not same and record.input != str(study.path) and record.done and not overwrite:
            raise OutputError(
                f"{folder} holds the result of {record.input} under the name {study.name}, which "
                f"is that of {study.path}, too.",
                "Choose another folder, or allow to replace results (--force).",
            )
    return kept


def _is_same_input(study: Study, record: StudyRecord) -> bool:
    try:
        return record.input_sha256 == input_hash(study)
    except (OSError, GDLAError):  # doing the study will say what is wrong
        return False


def _is_whole(folder: Path, record: StudyRecord) -> bool:
    try:
        return file_hash(folder / str(record.output)) == record.output_sha256
    except OSError:
        return False


def _whole(process: Process, todo: Sequence[Study]) -> Generator[StudyRecord, None, None]:
    """Return the records of ``todo``, each exactly once; end where it makes no sense to go on.

    Raises RuntimeError if ``process`` leaves out a study, or returns one twice.
    """
    missing = {study.name for study in todo}
    in_a_row = 0
    if not todo:
        return
    with closing(process(todo)) as records:
        for record in records:
            if record.name not in missing:
                raise RuntimeError(f"{record.name} was not asked for, or came twice")
            missing.remove(record.name)
            yield record
            in_a_row = in_a_row + 1 if record.error_kind in _EVERYONES else 0
            if in_a_row == _MOST_IN_A_ROW and missing:
                raise EngineError(
                    f"{in_a_row} studies in a row failed for a reason that is not theirs, the "
                    f"last with: {record.error}",
                    "Mend it and give the same command again: what is done is kept.",
                )
    if missing:
        raise RuntimeError(f"{len(missing)} studies did not come back, such as {min(missing)}")
