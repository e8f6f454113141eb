"""A cohort segmented without a break, and the same with a run that is killed over and over.

    python Testing/bench/batch.py --docs

The process is killed (SIGKILL) at random moments and started again with the same command. In the
end all files must be the same but for the seconds in the manifest. Takes some minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from batch_studies import write_cohort  # noqa: E402
from report import add_report_arguments, heading, publish, table  # noqa: E402

from GDLACore.cohort.manifest import read_manifest  # noqa: E402
from GDLACore.cohort.record import StudyRecord  # noqa: E402

PAGE = ROOT / "docs/batch.md"

_STARTING_S = 1.0  # no run has done anything before
_COUNTED = ("new", "done", "lost", "unrecorded")


def main() -> None:
    """Run, kill, compare and save; end with status 1 if anything is lost or differs."""
    arguments = _arguments()
    result = heading(arguments, "batch", PAGE)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        inputs = write_cohort(folder / "in", arguments.studies)
        calm, killed = folder / "calm", folder / "killed"
        start = time.perf_counter()
        _run(inputs, calm)
        seconds = time.perf_counter() - start
        records = read_manifest(calm / "manifest.jsonl")
        result["calm"] = {"seconds": seconds, **_summary(records)}
        result["kills"] = _killed(inputs, killed, arguments.kills, seconds, arguments.seed)
        start = time.perf_counter()
        _run(inputs, killed)
        result["last_s"] = time.perf_counter() - start
        start = time.perf_counter()
        _run(inputs, killed)
        result["nothing_to_do_s"] = time.perf_counter() - start
        result["differences"] = _differences(calm, killed)
    publish(arguments, result, _lines(result), PAGE)
    if result["differences"] or any(kill["lost"] for kill in result["kills"]):
        sys.exit(1)


def _command(inputs: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "GDLACore", "batch", str(inputs), "-o", str(out), "--quiet"]


def _run(inputs: Path, out: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        _command(inputs, out), env=environment, check=False, stderr=subprocess.PIPE
    )
    # 1 is right: the cohort holds studies that cannot be segmented.
    if done.returncode not in (0, 1) or b"Unexpected" in done.stderr:
        raise RuntimeError(done.stderr.decode())


def _killed(inputs: Path, out: Path, kills: int, seconds: float, seed: int) -> list[dict[str, Any]]:
    """Start and kill; return of each time when it was and what was done by then."""
    moments = random.Random(seed)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    before: dict[str, StudyRecord] = {}
    told = []
    for _ in range(kills):
        process = subprocess.Popen(
            _command(inputs, out), env=environment, stderr=subprocess.DEVNULL
        )
        after = _STARTING_S + moments.uniform(0, 1.8 * (seconds - _STARTING_S) / (kills + 1))
        try:
            process.wait(after)
            raise RuntimeError("The run ended before it could be killed: use more studies.")
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        now = read_manifest(out / "manifest.jsonl")
        told.append(
            {
                "after_s": after,
                "done": len(now),
                "new": len(now) - len(before),
                "lost": len([name for name in before if name not in now]),
                "unrecorded": len(_segmentations(out) - {one.output for one in now.values()}),
            }
        )
        before = now
    return told


def _segmentations(out: Path) -> set[str]:
    return {
        path.relative_to(out).as_posix()
        for path in (out / "segmentations").rglob("*.seg.nrrd")
        if path.is_file()
    }


def _summary(records: dict[str, StudyRecord]) -> dict[str, Any]:
    done = [record for record in records.values() if record.done]
    return {
        "studies": len(records),
        "failed": len(records) - len(done),
        **{
            f"{phase}_s": statistics.median(record.seconds[phase] for record in done)
            for phase in ("reading", "segmenting", "writing")
        },
    }


def _differences(one: Path, other: Path) -> list[str]:
    """Return the files that are not the same; of manifests all but the seconds counts."""
    names = {
        path.relative_to(folder).as_posix()
        for folder in (one, other)
        for path in folder.rglob("*")
        if path.is_file()
    }
    return sorted(name for name in names if _content(one / name) != _content(other / name))


def _content(path: Path) -> object:
    if not path.exists():
        return None
    if path.name != "manifest.jsonl":
        return path.read_bytes()
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [{**line, "seconds": None} for line in lines]


def _lines(result: dict[str, Any]) -> list[str]:
    calm, kills = result["calm"], result["kills"]
    phases = ", ".join(
        f"{name} {calm[f'{name}_s']:.3f} s" for name in ("reading", "segmenting", "writing")
    )
    rows = [
        (str(number), f"{kill['after_s']:.1f}", *(str(kill[name]) for name in _COUNTED))
        for number, kill in enumerate(kills, start=1)
    ]
    header = ("kill", "s after the start", "studies since", "recorded", "lost", "to do again")
    return [
        f"{calm['studies']} studies, {calm['failed']} of which cannot be read: "
        f"{calm['seconds']:.0f} s without a break, {calm['studies'] / calm['seconds']:.1f} studies "
        f"a second (median of a study: {phases}).",
        "",
        *table(header, rows),
        "",
        f"The last run took {result['last_s']:.0f} s; one more, with nothing left to do but to "
        f"compare all hashes, {result['nothing_to_do_s']:.1f} s. Files that differ from the run "
        f"without a break: {len(result['differences'])}.",
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    add_report_arguments(parser, "batch")
    return parser.parse_args()


if __name__ == "__main__":
    main()
