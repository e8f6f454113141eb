"""The arithmetic of the benchmark of servers: what is overhead, and what the cable's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "bench"))

from remote import overheads
from shaped_link import ShapedLink

CABLE = ShapedLink(100, (), ())


def test_bytes_beyond_what_passes_at_once_take_their_time_on_the_cable() -> None:
    assert CABLE.seconds(5_000 + 12_500_000) == pytest.approx(1.0)
    assert CABLE.seconds(4_000) == 0.0


def test_the_overhead_is_what_neither_the_network_nor_the_cable_took() -> None:
    one = {"clock": 0.030, "network": 0.020, "up": 5_000 + 62_500, "down": 800}
    found = {"one_by_one": [one], "volume": []}
    assert overheads(found, CABLE, 1)["overhead_one"] == [pytest.approx(0.005)]


@pytest.mark.parametrize(("network", "expected"), [(3.0, 0.1), (0.5, 0.3)])
def test_in_a_volume_only_the_slower_of_network_and_cable_has_to_be_waited_for(
    network: float, expected: float
) -> None:
    volume = {"clock": 4.0, "network": network, "up": 5_000 + 12_500_000, "down": 0}
    found = {"one_by_one": [], "volume": [volume]}
    assert overheads(found, CABLE, 10)["overhead_volume"] == [pytest.approx(expected)]
