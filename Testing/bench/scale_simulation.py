"""A site that segments many studies, as a line of stations with waiting rooms: who waits for whom.

A study visits its stations in turn; at each it keeps one server (a core, a GPU, a disk) busy for a
fixed time and a time for each of its slices, and waits while all are. A station serves in order of
arrival. No more than so many studies are under way at once, which is what back-pressure does: the
next begins when one is done. Nothing fails and nothing else uses the servers.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Visit:
    """What a study asks of a station: seconds of one of its servers."""

    station: str
    per_slice: float
    fixed: float = 0.0

    def seconds(self, slices: int) -> float:
        """Return how long a study of ``slices`` keeps a server busy."""
        return self.fixed + self.per_slice * slices


@dataclass(frozen=True)
class Outcome:
    """``seconds`` from the first study's start to the last one's end, and each station's use."""

    seconds: float
    utilisation: Mapping[str, float]  # station -> share of its servers' time, 0 to 1

    @property
    def bottleneck(self) -> str:
        """Return the station that rested least."""
        return max(self.utilisation, key=self.utilisation.__getitem__)


def simulate(
    servers: Mapping[str, int], route: Sequence[Visit], slices: Sequence[int], in_flight: int
) -> Outcome:
    """Return what becomes of studies of so many ``slices``, which all take ``route``.

    ``servers`` are the servers of each station. Raises ValueError if ``in_flight`` is not positive
    or a station of the route has no server.
    """
    if in_flight < 1 or any(servers.get(visit.station, 0) < 1 for visit in route):
        raise ValueError("a study needs a place and every station of its route a server")
    free, busy = dict(servers), dict.fromkeys(servers, 0.0)
    waiting: dict[str, deque[tuple[int, int]]] = {station: deque() for station in servers}
    ends: list[tuple[float, int, int, int]] = []  # when, order of events, study, visit
    now, events = 0.0, 0

    def arrive(study: int, visit: int) -> None:
        nonlocal events
        station = route[visit].station
        if free[station] == 0:
            waiting[station].append((study, visit))
            return
        free[station] -= 1
        seconds = route[visit].seconds(slices[study])
        busy[station] += seconds
        events += 1
        heapq.heappush(ends, (now + seconds, events, study, visit))

    admitted = min(in_flight, len(slices))
    for study in range(admitted):
        arrive(study, 0)
    while ends:
        now, _, study, visit = heapq.heappop(ends)
        station = route[visit].station
        free[station] += 1
        if waiting[station]:
            arrive(*waiting[station].popleft())
        if visit + 1 < len(route):
            arrive(study, visit + 1)
        elif admitted < len(slices):
            admitted += 1
            arrive(admitted - 1, 0)
    utilisation = {
        station: seconds / (now * servers[station]) if now > 0 else 0.0
        for station, seconds in busy.items()
    }
    return Outcome(now, utilisation)


def least_seconds(
    servers: Mapping[str, int], route: Sequence[Visit], slices: Sequence[int]
) -> float:
    """Return the time below which no order of work can get: that of the busiest station alone."""
    work = dict.fromkeys(servers, 0.0)
    for visit in route:
        work[visit.station] += visit.fixed * len(slices) + visit.per_slice * sum(slices)
    return max(seconds / servers[station] for station, seconds in work.items())


def slices_of_studies(count: int, mean: float, spread: float, seed: int) -> list[int]:
    """Return how many slices each of ``count`` studies has: log-normal around ``mean``.

    ``spread`` is the standard deviation of the logarithm; 0 makes all alike. At least one each.
    """
    normal = np.random.default_rng(seed).normal(size=count)
    drawn = mean * np.exp(spread * normal - spread**2 / 2)
    return np.maximum(np.rint(drawn), 1).astype(int).tolist()
