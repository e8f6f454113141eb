"""Ten laptops at one server at once: whether each gets its own labels, and how long each waits.

    python Testing/bench/remote_clients.py --docs

Each is a process with a patient of its own; first one after the other, then all together. Laptops
and server share this computer's processor.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fresh import BENCH, environment
from remote import PAGE, exported, serving
from report import add_report_arguments, heading, publish, table


def main() -> None:
    """Measure, print and save."""
    arguments = _arguments()
    result = heading(arguments, "remote-clients", PAGE)
    numbers = range(arguments.laptops)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        exported(arguments.model, folder)
        with serving(folder / "models", folder / "loopback", "127.0.0.1") as url:
            alone = [_laptops(arguments, url, [number])[0] for number in numbers]
            together = _laptops(arguments, url, numbers)
            looks = _looking(arguments, url)
    pairs = list(zip(alone, together, strict=True))
    mixed_up = sum(one["checksum"] != other["checksum"] for one, other in pairs)
    assert len({one["checksum"] for one in alone}) == arguments.laptops
    result |= {"alone": alone, "together": together, "mixed_up": mixed_up, "looks": looks}
    publish(arguments, result, _lines(result), PAGE)


def _laptops(arguments: argparse.Namespace, url: str, numbers: Sequence[int]) -> list[Any]:
    """Return what laptops with these numbers measured that began together."""
    laptops = [_laptop(arguments, url, number) for number in numbers]
    _begin(laptops)
    return [json.loads(laptop.communicate()[0]) for laptop in laptops]


def _looking(arguments: argparse.Namespace, url: str) -> list[float]:
    """Return how long single slices took while all laptops but one were segmenting volumes."""
    looking = _laptop(arguments, url, 0, "--look")
    laptops = [_laptop(arguments, url, number) for number in range(1, arguments.laptops)]
    _begin([looking, *laptops])
    volumes = [json.loads(laptop.communicate()[0]) for laptop in laptops]
    looks = json.loads(looking.communicate()[0])["looks"]
    begin = max(volume["arrivals"][0] for volume in volumes)
    end = min(volume["arrivals"][-1] for volume in volumes)
    return [seconds for when, seconds in looks if begin <= when < end]


def _laptop(
    arguments: argparse.Namespace, url: str, number: int, *more: str
) -> subprocess.Popen[str]:
    settings = ("--model", arguments.model, "--depth", str(arguments.depth), "--server", url)
    return subprocess.Popen(
        [
            *(sys.executable, str(BENCH / "remote_client_run.py")),
            *(*settings, "--number", str(number), *more),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def _begin(laptops: Sequence[subprocess.Popen[str]]) -> None:
    for laptop in laptops:
        assert laptop.stdout.readline() == "ready\n"
    for laptop in laptops:
        laptop.stdin.write("go\n")
        laptop.stdin.flush()


def _lines(result: dict[str, Any]) -> list[str]:
    settings = result["settings"]
    rows = [
        ["one at a time", *_row(result["alone"])],
        [f"{settings['laptops']} at once", *_row(result["together"])],
    ]
    together = result["together"]
    end = min(one["arrivals"][-1] for one in together)
    looks = result["looks"]
    counts = [sum(arrival <= end for arrival in one["arrivals"]) for one in together]
    return [
        f"`{settings['model']}`, {settings['laptops']} patients of {settings['depth']} slices:",
        "",
        *table(
            [
                "laptops",
                "first slice, s: median",
                "longest",
                "all slices, s: shortest",
                "median",
                "longest",
                "slices a second, all laptops",
            ],
            rows,
        ),
        "",
        f"Labels that are another's, or otherwise not those of the laptop alone: "
        f"{result['mixed_up']} of {settings['laptops']} volumes. When the first laptop had all its "
        f"{settings['depth']} slices, the others had {min(counts)} to {max(counts)}.",
        "",
        f"A laptop that looks at single slices while the other {settings['laptops'] - 1} segment "
        f"volumes waits {statistics.median(looks):.2f} s for each (median of {len(looks)}; longest "
        f"{max(looks):.2f} s).",
    ]


def _row(laptops: Sequence[dict[str, Any]]) -> list[str]:
    first = [one["arrivals"][0] - one["begin"] for one in laptops]
    whole = [one["arrivals"][-1] - one["begin"] for one in laptops]
    count = sum(len(one["arrivals"]) for one in laptops)
    overlapping = max(one["arrivals"][-1] for one in laptops) - min(o["begin"] for o in laptops)
    busy = min(sum(whole), overlapping)
    return [
        f"{statistics.median(first):.2f}",
        f"{max(first):.2f}",
        f"{min(whole):.2f}",
        f"{statistics.median(whole):.2f}",
        f"{max(whole):.2f}",
        f"{count / busy:.1f}",
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="demo-ct", help="a name of the catalogue")
    parser.add_argument("--laptops", type=int, default=10)
    parser.add_argument("--depth", type=int, default=60, help="number of slices of each patient")
    add_report_arguments(parser, "remote-clients")
    return parser.parse_args()


if __name__ == "__main__":
    main()
