"""Contenders measured in turns, so that a busy minute of the machine hits all of them alike."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")

# Libraries let their threads spin for more work before these sleep; they must not do so while the
# next contender is timed.
_PAUSE_SECONDS = 0.02


def round_robin(contenders: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Return what every contender gave in each round; all take part in a round before the next."""
    results: dict[str, list[T]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            results[name].append(run())
    return results


def seconds(call: Callable[[], object]) -> float:
    """Return how long one ``call`` takes."""
    time.sleep(_PAUSE_SECONDS)
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def median_seconds(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median time of every contender over ``rounds`` rounds, after one to warm up."""
    round_robin(contenders, 1)
    timed = {name: lambda run=run: seconds(run) for name, run in contenders.items()}
    return {n: statistics.median(times) for n, times in round_robin(timed, rounds).items()}


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest of ``values`` that ``percent`` % of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
