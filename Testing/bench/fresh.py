"""Measurements in processes of their own, which owe nothing to what ran before them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parents[1]

# The golden vectors and their weights are the tests' own.
_PYTHONPATH = os.pathsep.join(map(str, (ROOT, ROOT / "Testing/core")))


def run_fresh(script: str, *arguments: object, **environment: str) -> dict[str, Any]:
    """Run ``script`` of this folder; return the JSON object that it printed last, on one line.

    Raises CalledProcessError if it fails; what it has to say about that is on stderr.
    """
    done = subprocess.run(
        [sys.executable, str(BENCH / script), *map(str, arguments)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": _PYTHONPATH, **environment},
    )
    return json.loads(done.stdout.splitlines()[-1])
