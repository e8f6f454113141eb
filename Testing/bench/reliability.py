"""What goes wrong with the worker, what the user sees of it, and how long that takes.

    python Testing/bench/reliability.py --docs

Each fault is real: processes are killed, disks are full. Mounting a small disk takes an
administrator on Linux. Takes about three minutes: two of the faults show only by silence.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing/core"), str(ROOT / "Testing/faults")]

from cycles import Remains, cancel_at_random, running_workers  # noqa: E402
from observer import Observer, faulty_worker  # noqa: E402
from reliability_faults import ALL, Fault, Outcome  # noqa: E402
from report import add_report_arguments, heading, publish  # noqa: E402

PAGE = ROOT / "docs/reliability.md"

_CYCLES = 100


def main() -> None:
    """Bring about, print and save."""
    arguments = _arguments()
    result = heading(arguments, "faults", PAGE)
    result["faults"] = [
        {"fault": fault.name, "how": fault.how, **dataclasses.asdict(_outcome(fault))}
        for fault in ALL
    ]
    result["cycles"] = _cycles(arguments.seed)
    publish(arguments, result, _lines(result), PAGE)


def _outcome(fault: Fault) -> Outcome:
    print(f"{fault.name} …", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / "temporary"
        temporary.mkdir()
        return fault.bring_about(temporary)


def _cycles(seed: int) -> dict[str, Any]:
    """Cancel over and over and return what that left behind."""
    print(f"{_CYCLES} cancelled jobs …", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        observer = Observer(python=faulty_worker("compute_forever"), folder=folder)
        cancel_at_random(observer, 5, seed)
        workers, before = len(observer.pids), Remains.now()
        seconds = cancel_at_random(observer, _CYCLES, seed + 1)
        grown = Remains.now().mebibytes - before.mebibytes
        observer.client.close()
        return {
            "jobs": _CYCLES,
            "killed": len(observer.pids) - workers,
            "median_s": statistics.median(seconds),
            "longest_s": max(seconds),
            "grown_mib": grown,
            "processes_left": len(running_workers(Path(folder))),
            "files_left": len(list(Path(folder).iterdir())),
        }


def _lines(result: dict[str, Any]) -> list[str]:
    cycles = result["cycles"]
    header = (
        "fault",
        "how it is brought about",
        "what the user sees",
        "told after, s",
        "works after, s",
    )
    rows = [
        (f["fault"], f["how"], _cell(f["seen"]), _seconds(f["told_s"]), _seconds(f["works_s"]))
        for f in result["faults"]
    ]
    return [
        f"| {' | '.join(header)} |",
        "|---|---|---|---:|---:|",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        f"{cycles['jobs']} jobs cancelled at random moments, in which a batch of slices does not "
        f"end: stopped after {cycles['median_s']:.2f} s (median) and {cycles['longest_s']:.2f} s "
        f"(longest); {cycles['killed']} workers had to be killed. Left behind: "
        f"{cycles['processes_left']} processes, {cycles['files_left']} files; the client's memory "
        f"grew by {cycles['grown_mib']:.1f} MiB.",
    ]


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _cell(text: str) -> str:
    """Return ``text`` fit for a table: without the folders of this one run."""
    folders = Path(tempfile.gettempdir()).as_posix()
    words = [
        "…/" + word.rpartition("/")[2] if word.startswith(folders) else word
        for word in text.split(" ")
    ]
    return re.sub(r"(GDLA-session-)\w+", r"\1…", " ".join(words)).replace("|", "\\|")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    add_report_arguments(parser, "reliability")
    return parser.parse_args()


if __name__ == "__main__":
    main()
