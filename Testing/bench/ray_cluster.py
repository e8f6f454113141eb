"""How many studies a second a Ray cluster segments, by the number of its workers.

    python Testing/bench/ray_cluster.py --docs

The cluster's nodes are all on this computer and have one core each, so more workers than cores
gain nothing. In a last run, a node is killed in the middle. All results are compared with those
of one process. Takes some minutes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing" / "ray")]

from batch_studies import write_cohort  # noqa: E402
from report import add_report_arguments, heading, publish, table  # noqa: E402

from GDLACore.cohort.local import local_process  # noqa: E402
from GDLACore.cohort.on_ray import ray_process  # noqa: E402
from GDLACore.cohort.plan import Study, find_studies  # noqa: E402
from GDLACore.cohort.record import StudyRecord  # noqa: E402
from GDLACore.cohort.run import Process, run_batch  # noqa: E402
from GDLACore.cohort.settings import BatchSettings  # noqa: E402

PAGE = ROOT / "docs/batch.md"


def main() -> None:
    """Measure, compare and save; end with status 1 if anything is lost or differs."""
    arguments = _arguments()
    result = heading(arguments, "ray-cluster", PAGE)
    temporary = Path(tempfile.mkdtemp(prefix="gdla-", dir="/tmp"))  # Ray wants a short path
    os.environ |= {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # stay on the loopback address
        "RAY_TMPDIR": str(temporary),
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": str(ROOT),
    }
    try:
        result["runs"] = _runs(temporary, arguments.studies, arguments.workers)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    publish(arguments, result, _lines(result), PAGE)
    if any(run["lost"] or run["differences"] for run in result["runs"]):
        sys.exit(1)


def _runs(folder: Path, studies: int, most: int) -> list[dict[str, Any]]:
    from local_cluster import LocalCluster

    plan = find_studies([write_cohort(folder / "in", studies)])
    alone = folder / "alone"
    for name, threads in (("warm-up", 1), ("one process, one thread", 1)):
        shutil.rmtree(alone, ignore_errors=True)
        settings = BatchSettings(alone, threads=threads)
        runs = [_measured(name, plan, settings, local_process(settings), alone)]
    cluster = LocalCluster(nodes=most - 1)
    last = cluster.add_node()
    try:
        for workers in (*range(1, most + 1), None):
            settings = BatchSettings(folder / f"with-{workers}")
            process = ray_process(settings, cluster.address, most_workers=workers)
            name = f"{workers} worker{'s' if workers != 1 else ''}"
            if workers is None:
                process = _interrupted(process, len(plan) // 2, lambda: cluster.kill(last))
                name = f"{most} workers, a node killed"
            runs.append(_measured(name, plan, settings, process, alone))
    finally:
        cluster.stop()
    return runs


def _interrupted(process: Process, after: int, act: Callable[[], None]) -> Process:
    """Return a process that calls ``act`` after so many records."""

    def interrupted(studies: Iterable[Study]) -> Iterator[StudyRecord]:
        for number, record in enumerate(process(studies), start=1):
            yield record
            if number == after:
                act()

    return interrupted


def _measured(
    name: str, plan: list[Study], settings: BatchSettings, process: Process, like: Path
) -> dict[str, Any]:
    """Run, and return seconds, studies a second at last, and what is not as in ``like``."""
    start, moments = time.perf_counter(), []
    result = run_batch(
        plan, settings, process, report=lambda *_: moments.append(time.perf_counter())
    )
    end, half = moments[-1], moments[-1 - len(plan) // 2]
    return {
        "name": name,
        "first_s": moments[-len(plan)] - start,
        "seconds": end - start,
        "per_second": (len(plan) // 2) / (end - half),
        "lost": len(plan) - len(result.records),
        "failed": len(result.failed),
        "differences": len(_differing(settings.output, like)),
    }


def _differing(one: Path, other: Path) -> list[str]:
    """Return the names of the files that are not the same; manifests tell seconds and are not."""
    names = {
        path.relative_to(folder).as_posix()
        for folder in (one, other)
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.jsonl"
    }
    return sorted(name for name in names if _content(one / name) != _content(other / name))


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _lines(result: dict[str, Any]) -> list[str]:
    runs = result["runs"]
    rows = [
        (
            run["name"],
            f"{run['first_s']:.1f}",
            f"{run['per_second']:.1f}",
            f"{run['per_second'] / runs[0]['per_second']:.2f}",
            f"{run['seconds']:.0f}",
            str(run["lost"]),
            str(run["differences"]),
        )
        for run in runs
    ]
    header = (
        *("", "s to the first", "studies/s", "times one process", "s in all"),
        *("studies lost", "files that differ"),
    )
    studies = result["settings"]["studies"]
    return [
        f"{studies} studies, {runs[0]['failed']} of which cannot be read; studies a second are "
        "those of the second half, when all workers are there.",
        "",
        *table(header, rows),
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--studies", type=int, default=80)
    parser.add_argument("--workers", type=int, default=3, help="at most, each with a node")
    add_report_arguments(parser, "ray_cluster")
    return parser.parse_args()


if __name__ == "__main__":
    main()
