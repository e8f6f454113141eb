"""One run over a cohort: keep what is done, have the rest done, record it as it comes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from GDLACore import __version__
from GDLACore.cohort.changed import all_set_aside, is_whole, set_aside
from GDLACore.cohort.earlier import Report, look_back
from GDLACore.cohort.files import MANIFEST, PAGE, remove_results
from GDLACore.cohort.identity import model_card
from GDLACore.cohort.manifest import OpenManifest, read_manifest, write_manifest
from GDLACore.cohort.output_folder import check_inputs, open_output
from GDLACore.cohort.plan import SPREAD, Study
from GDLACore.cohort.qc_page import write_page
from GDLACore.cohort.record import CHANGED, StudyRecord
from GDLACore.cohort.settings import BatchSettings
from GDLACore.cohort.todo import Todo
from GDLACore.errors import EngineError

# Takes studies one by one as it can do them, and returns their records in any order. It never
# leaves one out, and raises only if it cannot go on.
Process = Callable[[Iterable[Study]], Generator[StudyRecord, None, None]]

_LOG = logging.getLogger(__name__)

_KEPT = "The result of an earlier run is kept: its image is not known to have changed."
_SET_ASIDE = "Its result was changed after it was written. The changed one is kept: "


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
    whole, and whose image cannot be read this time, has failed in this run and keeps its result. A
    result that is not as it was recorded is renamed before its study is done again.

    Raises OutputError if an image lies in the folder, if another run is writing to it, or it holds
    results of other settings or of other studies of the same names, EngineError if several studies
    in a row fail for a reason that is not theirs, and whatever ``load_engine`` and ``process``
    raise.
    """
    check_inputs(settings.output, [study.path for study in plan])
    card = model_card(settings)
    with open_output(settings, card, overwrite=overwrite) as folder:
        before = read_manifest(folder / MANIFEST)
        earlier = look_back(plan, before, folder, report, overwrite=overwrite)
        studies = {study.name: study for study in earlier.plan}
        # What this run has to tell; ``recorded`` is as the manifest has it.
        found = {name: _placed(old, studies[name]) for name, old in earlier.kept.items()}
        recorded = {**before, **found}
        _warn_of_versions(found.values())
        done = {one.name for one in before.values() if one.done}
        outdated = done & studies.keys() - earlier.kept.keys() - earlier.unread.keys()
        failed_before = {
            one.name for one in before.values() if not one.done and one.error_kind != CHANGED
        }
        todo = Todo((one for one in earlier.plan if one.name not in found), failed_before)
        with OpenManifest(folder / MANIFEST) as manifest:
            old_ones = [before[name] for name in sorted(outdated)]
            _give_up(old_ones, manifest, folder, settings.format)
            report("studies", len(found), len(plan))
            with closing(_whole(process, todo)) as made:
                for record in made:
                    record = _placed(record, studies[record.name])
                    old = earlier.unread.get(record.name)
                    if not record.done and old is not None and _still_holds(old, record, folder):
                        found[record.name] = replace(record, warnings=(*record.warnings, _KEPT))
                    else:
                        if not record.done:
                            # What was made of another image would be taken for this one's.
                            remove_results(folder, record.name, settings.format)
                        manifest.add(record)
                        found[record.name] = recorded[record.name] = record
                    report("studies", len(found), len(plan))
        aside = all_set_aside(folder)
        told = {name: study.warnings for name, study in studies.items()}
        in_order = [_with_warnings(found[name], told[name], aside) for name in studies]
        lines = [_with_warnings(recorded[name], told[name], aside) for name in studies]
        gone = [
            _with_warnings(one, [text for text in one.warnings if text == SPREAD], aside)
            for one in (recorded[name] for name in sorted(recorded.keys() - found.keys()))
        ]
        write_manifest(folder / MANIFEST, [*lines, *gone])
        write_page(folder / PAGE, in_order, card, gone)
    if gone:
        _LOG.warning(
            "%d studies of earlier runs, such as %s, were not found this time: they stay at the "
            "end of the manifest and of the page.",
            len(gone),
            gone[0].name,
        )
    return BatchResult(tuple(in_order), len(earlier.kept), folder / PAGE)


def _warn_of_versions(kept: Iterable[StudyRecord]) -> None:
    others = [one for one in kept if one.version != __version__]
    if others:
        _LOG.warning(
            "%d results, such as that of %s, were made by gdla %s, and the others are by %s: they "
            "may differ. To have all of one version, choose another folder.",
            len(others),
            others[0].name,
            others[0].version or "of an unknown version",
            __version__,
        )


def _give_up(
    outdated: Sequence[StudyRecord], manifest: OpenManifest, folder: Path, format_: str
) -> None:
    """Remove the results of ``outdated``, but what somebody changed, which is renamed; record it.

    From here on a result that lies there is a killed run's: were they left, somebody could correct
    one before the next run.
    """
    renamed = []
    for record in outdated:
        if (path := set_aside(folder, record)) is not None:
            renamed.append(path)
        remove_results(folder, record.name, format_)
        manifest.add(record.without_result())
    if renamed:
        _LOG.warning(
            "Results that somebody changed after they were written are kept under other names, and "
            "their studies done again: %d, such as %s.",
            len(renamed),
            renamed[0],
        )


def _still_holds(old: StudyRecord, failed: StudyRecord, folder: Path) -> bool:
    """Return whether a study has the result ``old``, though it has ``failed`` now."""
    return failed.input_sha256 in (None, old.input_sha256) and is_whole(folder, old)


def _placed(record: StudyRecord, study: Study) -> StudyRecord:
    """Return ``record`` with where its image lies now: it may have moved, or have other numbers."""
    return replace(
        record, input=str(study.path), series=study.series, series_sha256=study.series_sha256
    )


def _with_warnings(
    record: StudyRecord, of_study: Iterable[str], aside: Mapping[str, Sequence[str]]
) -> StudyRecord:
    """Return ``record`` with what is known of the study, and of what lies in the folder, now."""
    others = [one for one in record.warnings if one != SPREAD and not one.startswith(_SET_ASIDE)]
    changed = [f"{_SET_ASIDE}{path}." for path in aside.get(record.name, ())]
    return replace(record, warnings=(*of_study, *changed, *others))


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
