"""Two computers in one, joined by a cable of a chosen speed, which may lose packets.

Two network namespaces of Linux with a pair of virtual interfaces between them. The kernel itself
delays what passes, as a network card would, so that no program of ours is in the way. It takes an
administrator, and for lost packets nftables.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

# Addresses that are set aside for measurements of networks (RFC 2544).
CLIENT, SERVER = "198.18.0.1", "198.18.0.2"

# Bytes that pass at once after a pause, as if the cable had been working ahead; with fewer, the
# kernel's clock cannot keep up with a gigabit.
_BURST = {100: 5_000, 1000: 128_000}


@dataclass(frozen=True)
class ShapedLink:
    """``client`` and ``server`` begin the command of a program that runs at that end.

    ``mbit_per_s`` is the speed in each direction.
    """

    mbit_per_s: int
    client: tuple[str, ...]
    server: tuple[str, ...]

    def seconds(self, count: float) -> float:
        """Return how long ``count`` bytes, one way and after a pause, are on the cable."""
        return 8 * max(0.0, count - _BURST[self.mbit_per_s]) / (1e6 * self.mbit_per_s)


@contextmanager
def shaped_link(mbit_per_s: int, lost_in_100: int = 0) -> Iterator[ShapedLink]:
    """Return a link that is there for a while; of 100 packets, it loses that many each way.

    Raises OSError or CalledProcessError where it cannot be made.
    """
    ends = {"client": CLIENT, "server": SERVER}
    names = {end: f"gdla-{end}-{os.getpid()}" for end in ends}
    made: list[str] = []
    try:
        for name in names.values():
            _do("ip", "netns", "add", name)
            made.append(name)
        one, other = (("name", "cable", "netns", name) for name in names.values())
        _do("ip", "link", "add", *one, "type", "veth", "peer", *other)
        for end, address in ends.items():
            inside = ("ip", "netns", "exec", names[end])
            _do(*inside, "ip", "address", "add", f"{address}/30", "dev", "cable")
            # Where packets are lost, they must be such as a cable carries, or 64 KiB go at a time.
            segments = ("gso_max_segs", "1") if lost_in_100 else ()
            _do(*inside, "ip", "link", "set", "cable", "up", *segments)
            _do(*inside, "ip", "link", "set", "lo", "up")
            rate = ("rate", f"{mbit_per_s}mbit", "burst", f"{_BURST[mbit_per_s]}", "limit", "1mb")
            _do(*inside, "tc", "qdisc", "add", "dev", "cable", "root", "tbf", *rate)
            if lost_in_100:
                _lose(inside, lost_in_100)
        client, server = (("ip", "netns", "exec", names[end]) for end in ("client", "server"))
        yield ShapedLink(mbit_per_s, client, server)
    finally:
        for name in made:
            _do("ip", "netns", "delete", name)


def cable_bytes() -> tuple[int, int]:
    """Return how many bytes have left this end of the cable, and how many have come.

    To be called by a program at one end. The headers of packets that the kernel hands over several
    at a time, as to a network card, are counted once: up to 4 % are missing.
    """
    shown = subprocess.run(
        ["ip", "-json", "-statistics", "link", "show", "cable"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    counted = json.loads(shown)[0]["stats64"]
    return counted["tx"]["bytes"], counted["rx"]["bytes"]


def _lose(inside: Sequence[str], lost_in_100: int) -> None:
    chance = f"numgen random mod 100 < {lost_in_100} drop"
    hook = "{ type filter hook input priority 0; }"
    _do(*inside, "nft", f"add table inet loss; add chain inet loss arriving {hook}")
    _do(*inside, "nft", f"add rule inet loss arriving iif cable {chance}")


def _do(*command: str) -> None:
    subprocess.run(command, check=True)
