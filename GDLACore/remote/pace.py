"""How many requests a server is given at a time, so that none of them waits until it is given up.

A server that many use, or that has no GPU, answers late only because much is waiting there.
"""

from __future__ import annotations

import threading

# One request is on its way while others are computed, and servers join what waits.
_MOST = 8
# Never one after the other: whoever waits for a single answer cannot look up meanwhile.
_FEWEST = 2

# Of the time after which a request is given up: when to ask for less, and when for more.
_LATE = 1 / 4
_SOON = 1 / 8


class Pace:
    """Begins with the most; halves it when an answer comes late, and adds one when it comes soon.

    ``patience_s`` is after how many seconds without an answer a request is given up.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._in_flight = _MOST

    @property
    def in_flight(self) -> int:
        """Return how many requests may be under way now."""
        return self._in_flight

    def answered_after(self, seconds: float) -> None:
        """Take note of how long an answer took."""
        with self._lock:
            if seconds > _LATE * self._patience_s:
                self._in_flight = max(self._in_flight // 2, _FEWEST)
            elif seconds < _SOON * self._patience_s:
                self._in_flight = min(self._in_flight + 1, _MOST)
