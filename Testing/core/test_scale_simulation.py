"""The simulation of a site does what queues are known to do."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "Testing/bench"))

from scale_simulation import (
    Visit,
    least_seconds,
    simulate,
    slices_of_studies,
)

ROUTE = (Visit("disk", 0.001), Visit("core", 0.02, 0.5), Visit("gpu", 0.004), Visit("core", 0.001))
SITE = {"disk": 1, "core": 4, "gpu": 1}


def test_one_study_takes_the_sum_of_its_visits():
    assert simulate(SITE, ROUTE, [100], 8).seconds == pytest.approx(0.1 + 2.5 + 0.4 + 0.1)


def test_one_at_a_time_takes_the_sum_of_all():
    slices = [10, 200, 30]
    alone = sum(simulate(SITE, ROUTE, [count], 1).seconds for count in slices)
    assert simulate(SITE, ROUTE, slices, 1).seconds == pytest.approx(alone)


def test_like_studies_are_paced_by_the_busiest_station():
    # 3.1 s of 4 cores and 0.4 s of a GPU each: a study every 0.65 s, once the line is full.
    outcome = simulate(SITE, ROUTE, [100] * 1000, 20)
    assert outcome.bottleneck == "core"
    assert outcome.seconds == pytest.approx(650, rel=0.01)
    assert outcome.utilisation["core"] == pytest.approx(1, abs=0.01)
    assert outcome.utilisation["gpu"] == pytest.approx(0.4 / 0.65, abs=0.01)


@pytest.mark.parametrize("seed", range(20))
def test_no_site_is_faster_than_its_busiest_station_or_slower_than_one_at_a_time(seed):
    random = np.random.default_rng(seed)
    servers = {name: int(random.integers(1, 9)) for name in SITE}
    route = [
        Visit(str(random.choice(list(SITE))), random.uniform(0, 0.1), random.uniform(0, 2))
        for _ in range(int(random.integers(1, 7)))
    ]
    slices = slices_of_studies(60, 100, 0.6, seed)
    outcome = simulate(servers, route, slices, int(random.integers(1, 40)))
    alone = sum(visit.seconds(count) for visit in route for count in slices)
    assert least_seconds(servers, route, slices) <= outcome.seconds * (1 + 1e-9)
    assert outcome.seconds <= alone * (1 + 1e-9)
    assert all(0 <= share <= 1 + 1e-9 for share in outcome.utilisation.values())


def test_more_of_what_all_wait_for_helps_and_more_of_the_rest_does_not():
    slices = slices_of_studies(500, 100, 0.5, 1)
    before = simulate(SITE, ROUTE, slices, 20).seconds
    cores = simulate({**SITE, "core": 8}, ROUTE, slices, 20)
    gpus = simulate({**SITE, "gpu": 4}, ROUTE, slices, 20)
    assert cores.seconds < 0.65 * before
    assert cores.bottleneck == "gpu"
    assert gpus.seconds == pytest.approx(before, rel=0.02)


def test_too_few_studies_under_way_leave_servers_idle():
    slices = slices_of_studies(300, 100, 0.5, 2)
    few, many = (simulate(SITE, ROUTE, slices, places).seconds for places in (2, 20))
    assert few > 1.5 * many


def test_the_same_studies_give_the_same_outcome():
    slices = slices_of_studies(200, 50, 0.7, 3)
    assert slices == slices_of_studies(200, 50, 0.7, 3)
    assert simulate(SITE, ROUTE, slices, 10) == simulate(SITE, ROUTE, slices, 10)


def test_studies_are_as_long_on_average_as_asked_for():
    assert np.mean(slices_of_studies(50_000, 300, 0.6, 4)) == pytest.approx(300, rel=0.02)
    assert set(slices_of_studies(10, 300, 0, 4)) == {300}
    assert min(slices_of_studies(1000, 1, 2, 4)) == 1


@pytest.mark.parametrize(
    "servers, in_flight", [(SITE, 0), ({**SITE, "gpu": 0}, 4), ({"disk": 1}, 4)]
)
def test_a_site_that_could_never_finish_is_refused(servers, in_flight):
    with pytest.raises(ValueError, match="server"):
        simulate(servers, ROUTE, [1], in_flight)
