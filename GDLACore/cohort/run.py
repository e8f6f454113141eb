"""One run over a cohort: keep what is done, have the rest done, record it as it comes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from GDLACore.cohort.earlier import Report, is_whole, look_back, with_recorded_names
from GDLACore.cohort.files import MANIFEST, PAGE, remove_results
from GDLACore.cohort.identity import model_card
from GDLACore.cohort.manifest import OpenManifest, read_manifest, write_manifest
from GDLACore.cohort.output_folder import check_inputs, open_output
from GDLACore.cohort.plan import SPREAD, Study
from GDLACore.cohort.qc_page import write_page
from GDLACore.cohort.record import StudyRecord
from GDLACore.cohort.settings import BatchSettings
from GDLACore.cohort.todo import Todo
from GDLACore.errors import EngineError

# Takes studies one by one as it can do them, and returns their records in any order. It never
# leaves one out, and raises only if it cannot go on.
Process = Callable[[Iterable[Study]], Generator[StudyRecord, None, None]]

_LOG = logging.getLogger(__name__)

_KEPT = "The result of an earlier run is kept: its image is not known to have changed."


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

    Images that are recorded keep the names that they have there. A study whose recorded result is
    whole, and whose image cannot be read this time, has failed in this run and keeps its result.

    Raises OutputError if an image lies in the folder, if another run is writing to it, or it holds
    results of other settings or of other studies of the same names, EngineError if several studies
    in a row fail for a reason that is not theirs, and whatever ``load_engine`` and ``process``
    raise.
    """
    check_inputs(settings.output, [study.path for study in plan])
    card = model_card(settings)
    with open_output(settings, card, overwrite=overwrite) as folder:
        before = read_manifest(folder / MANIFEST)
        plan = with_recorded_names(plan, before)
        earlier = look_back(plan, before, folder, report, overwrite=overwrite)
        recorded = dict(before)  # as the manifest has it; ``found`` is what this run has to tell
        found = {name: before[name] for name in earlier.kept}
        failed_before = {record.name for record in before.values() if not record.done}
        todo = Todo((one for one in plan if one.name not in earlier.kept), failed_before)
        with OpenManifest(folder / MANIFEST) as manifest:
            report("studies", len(found), len(plan))
            with closing(_whole(process, todo)) as made:
                for record in made:
                    old = earlier.unchanged.get(record.name)
                    if not record.done and old is not None and _still_holds(old, record, folder):
                        found[record.name] = replace(record, warnings=(*record.warnings, _KEPT))
                    else:
                        if not record.done:
                            # What was made of another image would be taken for this one's.
                            remove_results(folder, record.name, settings.format)
                        manifest.add(record)
                        found[record.name] = recorded[record.name] = record
                    report("studies", len(found), len(plan))
        in_order = [_with_warnings(found[study.name], study) for study in plan]
        lines = [_with_warnings(recorded[study.name], study) for study in plan]
        gone = [recorded[name] for name in sorted(recorded.keys() - found.keys())]
        write_manifest(folder / MANIFEST, [*lines, *gone])
        write_page(folder / PAGE, in_order, card, gone)
    if gone:
        _LOG.warning(
            "%d studies of earlier runs, such as %s, are not in the input any more: they stay at "
            "the end of the manifest and of the page.",
            len(gone),
            gone[0].name,
        )
    return BatchResult(tuple(in_order), len(earlier.kept), folder / PAGE)


def _still_holds(old: StudyRecord, failed: StudyRecord, folder: Path) -> bool:
    """Return whether a study has the result ``old``, though it has ``failed`` now."""
    return failed.input_sha256 in (None, old.input_sha256) and is_whole(folder, old)


def _with_warnings(record: StudyRecord, study: Study) -> StudyRecord:
    """Return ``record`` with what is known of the study's place among others now."""
    others = (warning for warning in record.warnings if warning != SPREAD)
    return replace(record, warnings=(*study.warnings, *others))


def _whole(process: Process, todo: Todo) -> Generator[StudyRecord, None, None]:
    """Return the records of ``todo``, each exactly once; end where it makes no sense to go on.

    Raises RuntimeError if ``process`` leaves out a study, or returns one twice.
    """
    missing = {study.name for study in todo.studies}
    if not missing:
        return
    with closing(process(todo)) as records:
        for record in records:
            if record.name not in missing:
                raise RuntimeError(f"{record.name} was not asked for, or came twice")
            missing.remove(record.name)
            yield record
            if todo.is_hopeless(record) and missing:
                raise EngineError(
                    f"{todo.in_a_row} studies in a row failed for a reason that is not theirs, the "
                    f"last with: {record.error}",
                    "Mend it and give the same command again: what is done is kept.",
                )
    if missing:
        raise RuntimeError(f"{len(missing)} studies did not come back, such as {min(missing)}")
