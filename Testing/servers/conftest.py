"""What the tests with real servers share."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

# The tests' volumes, cards and models serve here too.
sys.path[:0] = [str(HERE.parent / "core"), str(HERE.parent / "faults")]
