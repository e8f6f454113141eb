"""A user who changes their mind a hundred times leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cycles
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts in /proc")
def test_a_hundred_cancelled_jobs_leave_no_process_no_file_and_no_memory(tmp_path):
    # In a process of its own, for what other tests have left would be measured, too.
    search = os.pathsep.join(map(str, (ROOT, ROOT / "Testing/core")))
    done = subprocess.run(
        [sys.executable, cycles.__file__, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": search},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    left = json.loads(done.stdout)
    assert left["workers"] > 2, "some had to be killed"
    assert left["grown_mib"] < 20
    assert left["files"] == []
