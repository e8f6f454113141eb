"""Where the time and the memory go when a CT of 512 x 512 x N is segmented.

    python Testing/bench/pipeline.py --model golden-b2

Measures whole runs, each in a process of its own, and reports the median of every stage as a table
and as JSON; ``--docs`` also puts the table into docs/performance.md. The files it reads were
written just before, so they come from memory and not from a disk; writing includes waiting for the
disk. The stages inside the pipeline are timed while it runs as it always does: nothing is measured
that users do not get.

Memory comes from one more run, in which every large array is given back to the system as soon as it
is freed: otherwise a stage that reuses what another left would seem to need nothing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from fresh import run_fresh  # noqa: E402
from report import add_report_arguments, heading, publish, table  # noqa: E402
from scan import write_dicom, write_nrrd  # noqa: E402

NETWORK = "network"
COUNTED = (
    "reading NRRD",
    "intensity",
    "resampling",
    NETWORK,
    "resampling back",
    "slicing and storing",
    "writing",
)
# Once per session, or depending on the scanner's compression: told, but not part of the total.
LOADING = "loading the model"
NOT_COUNTED = ("reading DICOM", LOADING)

# glibc: arrays above 64 KiB are mappings of their own and go when they are freed.
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


def main() -> None:
    """Measure, print and save."""
    arguments = _arguments()
    result = heading(arguments, f"pipeline {arguments.model}")
    with tempfile.TemporaryDirectory() as folder:
        nrrd, dicom = Path(folder) / "ct.nrrd", Path(folder) / "dicom"
        write_nrrd(nrrd, arguments.slices)
        write_dicom(dicom, arguments.slices)
        runs = []
        for number in range(arguments.runs):
            print(f"run {number + 1} of {arguments.runs}", file=sys.stderr)
            runs.append(_run(arguments, nrrd, dicom))
        print("run for memory", file=sys.stderr)
        result |= _summary(runs, _run(arguments, nrrd, dicom, "--memory", **GIVE_BACK))
    result["machine"]["device"] = result["device"]
    publish(arguments, result, _lines(result))


def _run(
    arguments: argparse.Namespace, nrrd: Path, dicom: Path, *more: str, **environment: str
) -> dict[str, Any]:
    settings = [
        part for name in ("model", "borders") for part in (f"--{name}", getattr(arguments, name))
    ]
    files = ["--nrrd", nrrd, "--dicom", dicom, "--output", nrrd.with_name("out.seg.nrrd")]
    return run_fresh("pipeline_run.py", *files, *settings, *more, **environment)


def _summary(runs: list[dict[str, Any]], memory_run: dict[str, Any]) -> dict[str, Any]:
    seconds = {
        stage: statistics.median(run["seconds"][stage] for run in runs)
        for stage in (*COUNTED, *NOT_COUNTED)
    }
    total = sum(seconds[stage] for stage in COUNTED)
    return {
        "device": runs[0]["device"],
        "seconds": seconds,
        "total_seconds": total,
        "share_outside_network": 1 - seconds[NETWORK] / total,
        "mebibytes": memory_run["mebibytes"],
        "peak_mebibytes": memory_run["peak_mebibytes"],
    }


def _lines(result: dict[str, Any]) -> list[str]:
    """Return everything as Markdown."""
    settings, total = result["settings"], result["total_seconds"]
    count = settings["slices"]
    rows = []
    for stage, seconds in result["seconds"].items():
        share = f"{seconds / total:.1%}" if stage in COUNTED else "not counted"
        per_slice = "-" if stage == LOADING else f"{1e3 * seconds / count:.2f}"
        memory = result["mebibytes"].get(stage)
        memory = "-" if memory is None else f"{memory:.0f}"
        rows.append([stage, f"{seconds:.3f}", per_slice, share, memory])
    rows.append(["**total**", f"{total:.3f}", f"{1e3 * total / count:.2f}", "", ""])
    return [
        f"`{settings['model']}`, CT of 512 x 512 x {count} (int16), {settings['borders']} borders, "
        f"median of {settings['runs']} runs:",
        "",
        *table(["stage", "s", "ms per slice", "share", "memory, MiB"], rows),
        "",
        f"Everything except the network: **{result['share_outside_network']:.1%}** of the total. "
        f"Largest memory of the process: {result['peak_mebibytes']:.0f} MiB.",
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--slices", type=int, default=40)
    parser.add_argument("--model", default="golden-b2", help="golden-b2, demo-ct or a model file")
    parser.add_argument("--borders", choices=("smooth", "published"), default="smooth")
    parser.add_argument("--runs", type=int, default=3)
    add_report_arguments(parser, "pipeline")
    return parser.parse_args()


if __name__ == "__main__":
    main()
