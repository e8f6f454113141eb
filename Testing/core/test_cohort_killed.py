"""A run that is killed over and over, at moments that differ, ends as one that was left alone."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("PIL")
from cohorts import BrightEngine, batch, timeless, use_engine, write_cohort
from phantom import make_card

from GDLACore.cohort.manifest import read_manifest

HERE = Path(__file__).resolve().parent
STUDIES, RUNS = 4, 4

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")


def killed_run(inputs: Path, out: Path, touches: int) -> int:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])])}
    done = subprocess.run(
        [sys.executable, HERE / "killed_cohort.py", inputs, out, str(touches)],
        env=environment,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
    return done.returncode


def results(out: Path) -> dict[str, bytes]:
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != "manifest.jsonl"
    }


def test_killed_at_random_moments_and_resumed_is_the_same_as_never_killed(tmp_path, monkeypatch):
    inputs = write_cohort(tmp_path / "in", STUDIES)
    use_engine(monkeypatch, BrightEngine(make_card()))
    calm = batch(inputs, tmp_path / "calm")

    out, moments = tmp_path / "out", random.Random(1)
    done: set[str] = set()
    killed = 0
    for number in range(RUNS):
        # The first of them early: before there is a manifest, and while the first study is written.
        touches = moments.randint(1, 6 if number < 2 else 45)
        killed += killed_run(inputs, out, touches) == -signal.SIGKILL
        now = {one.name for one in read_manifest(out / "manifest.jsonl").values() if one.done}
        assert done <= now, "a study was lost"
        done = now
    assert killed >= 2
    final = batch(inputs, out)
    assert final.kept == len(done)
    assert timeless(final.records) == timeless(calm.records)
    assert results(out) == results(tmp_path / "calm")
