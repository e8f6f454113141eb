"""How long nothing has been heard of a worker."""

from __future__ import annotations

import time

# A computer that slept, or a window that was busy, has not listened: that time does not count.
_LONGEST_GAP_S = 1.0


class Silence:
    """Adds up the time between looks at a counter for as long as it does not rise."""

    def __init__(self) -> None:
        self._heard = 0
        self._seconds = 0.0
        self._looked = time.monotonic()

    def seconds(self, heard: int) -> float:
        """Look: return for how long ``heard`` has been the same."""
        now = time.monotonic()
        gap, self._looked = now - self._looked, now
        self._seconds = 0.0 if heard != self._heard else self._seconds + min(gap, _LONGEST_GAP_S)
        self._heard = heard
        return self._seconds
