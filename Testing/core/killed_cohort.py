"""A run over a cohort that the system kills just before it touches its results for the nth time.

python killed_cohort.py IN OUT N
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from cohorts import BrightEngine, batch, use_engine
from phantom import make_card

_TOUCHES = ("open", "os.mkdir", "os.rename", "os.remove")


def main() -> None:
    """Run, and die."""
    inputs, out, left = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in _TOUCHES and str(arguments[0]).startswith(str(out)):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_engine(monkeypatch, BrightEngine(make_card()))
        batch(inputs, out)


if __name__ == "__main__":
    main()
