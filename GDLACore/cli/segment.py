"""``gdla segment``: check the outputs, read, load, compute, write, and tell."""

from __future__ import annotations

import dataclasses
import json
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from GDLACore import __version__
from GDLACore.cli.options import server_of
from GDLACore.cli.progress import Report, progress_bar
from GDLACore.cli.tables import print_table
from GDLACore.engine import Engine, load_engine
from GDLACore.errors import OutputError
from GDLACore.imaging.dicom_report import check_dicom_report, write_volume_report
from GDLACore.imaging.dicom_seg import check_dicom_source
from GDLACore.imaging.measure import StructureRow, structure_table
from GDLACore.imaging.overlay import OVERLAY_SUFFIXES, check_pillow, write_montage
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.reference import read_reference
from GDLACore.imaging.view import slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.imaging.writing import (
    CONFIDENCE_SUFFIXES,
    DICOM_SUFFIX,
    SEGMENTATION_SUFFIXES,
    check_output,
    write_confidence,
    write_segmentation,
)
from GDLACore.model.card import ModelCard
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import Progress, segment_volume, segment_volume_with_confidence
from GDLACore.remote import RemoteServer


@dataclass
class _Run:
    """What one run was and did, for the summary."""

    volume: Volume
    card: ModelCard
    device: str
    slices: range
    structures: list[StructureRow]
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def slices_per_second(self) -> float:
        return len(self.slices) / max(self.seconds["segmenting"], 1e-9)


def run(arguments: Namespace) -> None:
    """Segment ``arguments.input``; raise GDLAError before anything is written or replaced."""
    server = server_of(arguments)
    _check_outputs(arguments)
    with progress_bar(quiet=arguments.quiet) as report:
        done = _segment(arguments, server, report)
    if arguments.json:
        print(json.dumps(_summary(arguments, done), indent=2))
    elif not arguments.quiet:
        _tell(arguments, done)


def _check_outputs(arguments: Namespace) -> None:
    inputs = [arguments.input, Path(arguments.model)]
    if arguments.reference is not None:
        inputs.append(arguments.reference)
    check_output(
        arguments.output,
        inputs=inputs,
        overwrite=arguments.force,
        suffixes=SEGMENTATION_SUFFIXES,
    )
    if arguments.sr is not None:
        _check_report(arguments, inputs)
    if arguments.confidence is not None:
        check_output(
            arguments.confidence,
            inputs=inputs,
            overwrite=arguments.force,
            suffixes=CONFIDENCE_SUFFIXES,
        )
        if arguments.confidence.resolve() == arguments.output.resolve():
            raise OutputError(
                f"{arguments.confidence} is to hold the segmentation.",
                "Give the confidence another name.",
            )
    if arguments.overlay is not None:
        check_pillow()
        check_output(
            arguments.overlay, inputs=inputs, overwrite=arguments.force, suffixes=OVERLAY_SUFFIXES
        )


def _check_report(arguments: Namespace, inputs: list[Path]) -> None:
    if not _is_dicom(arguments.output):
        raise OutputError(
            f"{arguments.output} is not a DICOM segmentation, which a DICOM report refers to.",
            f"End its name with {DICOM_SUFFIX}, or leave out --sr.",
        )
    if arguments.slices != (None, None):
        raise OutputError(
            "A report on some slices would give volumes of parts as those of structures.",
            "Leave out --slices or --sr.",
        )
    check_output(arguments.sr, inputs=inputs, overwrite=arguments.force, suffixes=(DICOM_SUFFIX,))
    if arguments.sr.resolve() == arguments.output.resolve():
        raise OutputError(
            f"{arguments.sr} is to hold the segmentation.", "Give the report another name."
        )


def _is_dicom(path: Path) -> bool:
    return path.name.lower().endswith(DICOM_SUFFIX)


def _segment(arguments: Namespace, server: RemoteServer | None, report: Report) -> _Run:
    seconds: dict[str, float] = {}

    @contextmanager
    def phase(name: str) -> Iterator[None]:
        report(name, 0, None)
        start = time.perf_counter()
        yield
        seconds[name] = time.perf_counter() - start

    with phase("reading"):
        volume = read_volume(arguments.input, series=arguments.series, frame=arguments.frame)
        if arguments.sr is not None:
            check_dicom_report(volume)
        elif _is_dicom(arguments.output):
            check_dicom_source(volume)
    with phase("loading"):
        engine = load_engine(
            arguments.model,
            device=arguments.device,
            card=arguments.card,
            runtime=arguments.runtime,
            threads=arguments.threads,
            server=server,
        )
    with engine:
        card = engine.card
        slices = _slices(arguments, volume, card)
        reference = None
        if arguments.reference is not None:
            reference = read_reference(arguments.reference, volume, card)
        with phase("segmenting"):
            options = SegmentOptions(
                slices=slices,
                borders=arguments.borders,
                batch_size=arguments.batch,
                largest_component=arguments.largest_component,
            )
            labels, confidence = _labels_and_confidence(arguments, volume, engine, options, report)
        device = engine.describe()
    with phase("writing"):
        write_segmentation(arguments.output, labels, volume, card, overwrite=arguments.force)
        if confidence is not None:
            write_confidence(arguments.confidence, confidence, volume, overwrite=arguments.force)
    with phase("measuring"):
        structures = structure_table(labels, volume, card, reference, slices)
    if arguments.sr is not None:
        with phase("reporting"):
            write_volume_report(arguments.sr, arguments.output, structures, volume, card)
    if arguments.overlay is not None:
        with phase("drawing"):
            write_montage(
                arguments.overlay,
                volume,
                labels,
                card,
                table=structures,
                overwrite=arguments.force,
            )
    return _Run(volume, card, device, slices, structures, seconds)


def _labels_and_confidence(
    arguments: Namespace, volume: Volume, engine: Engine, options: SegmentOptions, report: Report
) -> tuple[np.ndarray, np.ndarray | None]:
    def on_progress(now: Progress) -> None:
        report(now.phase, now.done, now.total)

    if arguments.confidence is None:
        return segment_volume(volume, engine, options, on_progress), None
    return segment_volume_with_confidence(volume, engine, options, on_progress)


def _slices(arguments: Namespace, volume: Volume, card: ModelCard) -> range:
    first, end = arguments.slices
    count = slice_view(volume, card.slice_axis, card.view).count
    return range(first or 0, count if end is None else end)


def _summary(arguments: Namespace, done: _Run) -> dict[str, Any]:
    return {
        "version": __version__,
        "input": str(arguments.input),
        "output": str(arguments.output),
        "overlay": None if arguments.overlay is None else str(arguments.overlay),
        "confidence": None if arguments.confidence is None else str(arguments.confidence),
        "report": None if arguments.sr is None else str(arguments.sr),
        "reference": None if arguments.reference is None else str(arguments.reference),
        "model": {"name": done.card.name, "version": done.card.version, "sha256": done.card.sha256},
        "device": done.device,
        "volume": {
            "shape_kji": list(done.volume.shape),
            "spacing_ijk_mm": list(done.volume.spacing),
            "modality": done.volume.modality,
        },
        "slices": [done.slices.start, done.slices.stop],
        "seconds": {name: round(value, 4) for name, value in done.seconds.items()},
        "slices_per_second": round(done.slices_per_second, 3),
        "structures": [dataclasses.asdict(row) for row in done.structures],
    }


def _tell(arguments: Namespace, done: _Run) -> None:
    notes = {label.name: label.note for label in done.card.labels if label.note}
    compared = arguments.reference is not None
    rows = [
        [
            row.name + (" *" if row.name in notes else ""),
            str(row.voxels),
            f"{row.millilitres:.1f}",
            str(row.slices),
            *(["-" if row.dice is None else f"{row.dice:.3f}"] if compared else []),
        ]
        for row in done.structures
    ]
    header = ["Structure", "Voxels", "mL", "Slices", *(["Dice"] if compared else [])]
    print_table(header, rows, title=f"{done.volume.name}: {done.card.title}")
    for name, note in notes.items():
        print(f"* {name}: {note}")
    print(
        f"Slices:       {len(done.slices)} in {done.seconds['segmenting']:.1f} s "
        f"({done.slices_per_second:.1f} a second)"
    )
    print(f"Device:       {done.device}")
    print(f"Segmentation: {arguments.output}")
    if arguments.overlay is not None:
        print(f"Overlay:      {arguments.overlay}")
    if arguments.confidence is not None:
        print(f"Confidence:   {arguments.confidence}")
    if arguments.sr is not None:
        print(f"Report:       {arguments.sr}")
    print("Not for clinical use.")
