"""Measurements in processes of their own, which owe nothing to what ran before them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parents[1]

# The golden vectors and their weights are the tests' own.
_PYTHONPATH = os.pathsep.join(map(str, (ROOT, ROOT / "Testing/core")))


def run_fresh(
    script: str, *arguments: object, prefix: Sequence[str] = (), **changed: str
) -> dict[str, Any]:
    """Run ``script`` of this folder; return the JSON object that it printed last, on one line.

    ``prefix`` begins the command, such as that of a place to run it in; ``changed`` are variables
    of its environment.
    Raises CalledProcessError if it fails; what it has to say about that is on stderr.
    """
    done = subprocess.run(
        [*prefix, sys.executable, str(BENCH / script), *map(str, arguments)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(**changed),
    )
    return json.loads(done.stdout.splitlines()[-1])


def environment(**changed: str) -> dict[str, str]:
    """Return the environment of a process that finds our code, with some variables ``changed``."""
    return {**os.environ, "PYTHONPATH": _PYTHONPATH, **changed}
