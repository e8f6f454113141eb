"""``gdla batch``: find the studies, segment what is not done yet, and tell."""

from __future__ import annotations

import json
import logging
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from GDLACore.cli.options import server_of
from GDLACore.cli.progress import progress_bar
from GDLACore.cohort.identity import model_card
from GDLACore.cohort.local import local_process
from GDLACore.cohort.output_folder import check_inputs
from GDLACore.cohort.packages import check_packages
from GDLACore.cohort.plan import PICTURE_SUFFIXES, VOLUME_SUFFIXES, Study, find_studies
from GDLACore.cohort.run import BatchResult, Process, run_batch
from GDLACore.cohort.settings import BatchSettings
from GDLACore.errors import GDLAError
from GDLACore.imaging.dicom_header import is_dicom
from GDLACore.model.card import ModelCard

_LOG = logging.getLogger(__name__)

_OF_PICTURES = ("RGB", "US")  # modalities of models for single pictures
_TOLD = 10  # failures on the terminal


def run(arguments: Namespace) -> None:
    """Segment as ``arguments`` say; raise GDLAError if that fails, or if a study did."""
    settings = _settings(arguments)
    check_packages(settings)
    check_inputs(settings.output, arguments.inputs)
    card = model_card(settings)
    process = _process(arguments, settings)
    with progress_bar(quiet=arguments.quiet) as report:
        report("searching", 0, None)
        plan = find_studies(
            arguments.inputs,
            leave_out=settings.output,
            suffixes=_suffixes(card),
            on_folder=lambda found: report("searching", found, None),
        )
        if settings.format == "dcm":
            _warn_of_others(plan)
        result = run_batch(plan, settings, process, report=report, overwrite=arguments.force)
    if arguments.json:
        print(json.dumps(_summary(result, settings), indent=2))
    elif not arguments.quiet:
        _tell(result, card)
    if result.failed:
        raise GDLAError(
            f"{len(result.failed)} of {len(result.records)} studies could not be segmented.",
            f"{result.page} says why.",
        )


def _settings(arguments: Namespace) -> BatchSettings:
    return BatchSettings(
        output=Path(os.path.abspath(arguments.output)),
        model=_absolute(arguments.model),
        card=None if arguments.card is None else _absolute(arguments.card),
        device=arguments.device,
        runtime=arguments.runtime,
        threads=arguments.threads,
        server=server_of(arguments),
        borders=arguments.borders,
        largest_component=arguments.largest_component,
        format=arguments.format,
    )


def _absolute(named: str) -> str:
    """Return a file's path as it is understood elsewhere, and a model's name as it is."""
    return os.path.abspath(named) if Path(named).is_file() else named


def _suffixes(card: ModelCard) -> tuple[str, ...]:
    more = PICTURE_SUFFIXES if card.modality in _OF_PICTURES else ()
    return (*VOLUME_SUFFIXES, *more)


def _process(arguments: Namespace, settings: BatchSettings) -> Process:
    if arguments.ray is None:
        return local_process(settings)
    from GDLACore.cohort.on_ray import ray_process

    return ray_process(settings, arguments.ray, most_workers=arguments.ray_workers)


def _warn_of_others(plan: Sequence[Study]) -> None:
    """Say before the start which studies cannot become DICOM segmentations."""
    others = [study for study in plan if study.path.is_file() and not _may_be_dicom(study.path)]
    if others:
        _LOG.warning(
            "%d of %d studies are not DICOM, such as %s, and will fail, for DICOM segmentations "
            "refer to DICOM images: for these choose another --format.",
            len(others),
            len(plan),
            others[0].name,
        )


def _may_be_dicom(path: Path) -> bool:
    with suppress(OSError):  # doing the study will say what is wrong
        return is_dicom(path)
    return True


def _summary(result: BatchResult, settings: BatchSettings) -> dict[str, object]:
    failed = result.failed
    return {
        "output": str(settings.output),
        "page": str(result.page),
        "studies": len(result.records),
        "done": len(result.records) - len(failed),
        "kept": result.kept,
        "failed": [{"name": one.name, "error": one.error} for one in failed],
    }


def _tell(result: BatchResult, card: ModelCard) -> None:
    done = len(result.records) - len(result.failed)
    kept = f", {result.kept} of them before" if result.kept else ""
    print(f"{card.title}: {done} studies segmented{kept}")
    for record in result.failed[:_TOLD]:
        print(_printable(f"Failed: {record.name}: {record.error}"))
    if len(result.failed) > _TOLD:
        print(f"and {len(result.failed) - _TOLD} more")
    print(_printable(f"To check: {result.page}"))
    print("Not for clinical use.")


def _printable(text: str) -> str:
    """Return ``text`` with backslashes for what names of files may hold and no terminal shows."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
