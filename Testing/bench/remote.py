"""What a server costs and gains: here, on the same computer, and at the end of a cable.

    python Testing/bench/remote.py --docs

The server is NVIDIA's tritonserver with our Python backend on the same processor, so the network is
as fast as here: what differs is the way. The cables are the kernel's own (see shaped_link.py),
which takes an administrator on Linux. Takes about five minutes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fresh import BENCH, ROOT, environment, run_fresh
from report import add_report_arguments, heading, publish, table
from rounds import percentile
from shaped_link import SERVER, ShapedLink, shaped_link

PAGE = ROOT / "docs/server.md"

_MBIT_PER_S = (100, 1000)
_ALLOWED_S = 0.005


def main() -> None:
    """Measure, print and save."""
    arguments = _arguments()
    result = heading(arguments, "remote", PAGE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        exported(arguments.model, folder)
        places = {"this computer, no server": _run(arguments)}
        with serving(folder / "models", folder / "loopback", "127.0.0.1") as url:
            places["server, loopback"] = _run(arguments, "--server", url)
        for rate in _MBIT_PER_S:
            with (
                shaped_link(rate) as link,
                serving(folder / "models", folder / str(rate), SERVER, link.server) as url,
            ):
                found = _run(arguments, "--server", url, "--cable", prefix=link.client)
                places[f"server, {rate} Mbit/s"] = found | overheads(found, link, arguments.depth)
    result["places"] = places
    publish(arguments, result, _lines(result), PAGE)


def exported(model: str, folder: Path) -> None:
    """Write what a server with our Python backend needs into ``folder``."""
    export = ["export", model, "--triton", str(folder / "models"), "--backend", "python"]
    gdla = [sys.executable, "-m", "GDLACore", *export]
    subprocess.run(gdla, check=True, cwd=ROOT, stdout=sys.stderr)


@contextmanager
def serving(repository: Path, folder: Path, host: str, prefix: Sequence[str] = ()) -> Iterator[str]:
    """Return the address of a server of ``repository``; ``prefix`` begins its command.

    ``folder``, which must not be there yet, is for its log and its parts.
    """
    command = [
        *(*prefix, sys.executable, str(BENCH / "remote_server.py"), "--host", host),
        *("--repository", str(repository), "--folder", str(folder)),
    ]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    )
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.communicate()


def _run(arguments: argparse.Namespace, *server: str, prefix: Sequence[str] = ()) -> dict[str, Any]:
    return run_fresh(
        "remote_run.py",
        *("--model", arguments.model, "--depth", arguments.depth),
        *("--rounds", arguments.rounds, "--slices", arguments.slices, *server),
        prefix=prefix,
        no_proxy="*",
    )


def overheads(found: dict[str, Any], link: ShapedLink, depth: int) -> dict[str, list[float]]:
    """Return what a slice costs beyond the network's time on the server and the cable's, seconds.

    Of single slices one after another, all that is left of the clock. Of a volume, whose slices
    overlap, what is left beyond the slowest of network, way up and way down; per slice.
    """
    single, volumes = found["one_by_one"], found["volume"]
    up, down = ([link.seconds(one[way]) for one in single] for way in ("up", "down"))
    return {
        "cable_up": up,
        "cable_down": down,
        "overhead_one": [
            one["clock"] - one["network"] - there - back
            for one, there, back in zip(single, up, down, strict=True)
        ],
        "overhead_volume": [
            (many["clock"] - max(many["network"], link.seconds(many["up"]))) / depth
            for many in volumes
        ],
    }


def _lines(result: dict[str, Any]) -> list[str]:
    settings, places = result["settings"], result["places"]
    waits = [
        [
            place,
            *(f"{statistics.median(found[name]):.2f}" for name in ("whole_first", "whole_all")),
            *(
                f"{1e3 * number:.0f}"
                for name in ("slice", "preview")
                for number in (statistics.median(found[name]), percentile(found[name], 95))
            ),
        ]
        for place, found in places.items()
    ]
    parts = [
        [place, *(f"{number:.1f}" for number in _parts(found))]
        for place, found in places.items()
        if "overhead_one" in found
    ]
    worst = max(
        statistics.median(found[name])
        for found in places.values()
        for name in ("overhead_one", "overhead_volume")
        if name in found
    )
    kept = "within" if worst <= _ALLOWED_S else "NOT within"
    return [
        f"`{settings['model']}`, CT of 512 x 512 x {settings['depth']} (int16), through a warm "
        f"worker; {_program(places['server, loopback']['device'])}; medians of "
        f"{settings['rounds']} volumes and {settings['slices']} single slices:",
        "",
        *table(
            [
                "from the request to the labels",
                "volume: first slice, s",
                "all, s",
                "current slice, ms",
                "95 %",
                "live preview, ms",
                "95 %",
            ],
            waits,
        ),
        "",
        "Of a slice, in ms (medians); one at a time, and in a volume with several under way:",
        "",
        *table(
            [
                "ms",
                "clock",
                "network on the server",
                "cable up",
                "cable down",
                "overhead, one at a time",
                "overhead, volume",
            ],
            parts,
        ),
        "",
        f"The overhead is {kept} {1e3 * _ALLOWED_S:.0f} ms a slice.",
    ]


def _program(device: str) -> str:
    """Return what runs on the server: ``device`` without the address of this one run."""
    return device.partition(" (")[2].removesuffix(")")


def _parts(found: dict[str, Any]) -> list[float]:
    """Return the columns of the second table, ms."""
    one = [
        *(statistics.median(o[name] for o in found["one_by_one"]) for name in ("clock", "network")),
        *(
            statistics.median(found[name])
            for name in ("cable_up", "cable_down", "overhead_one", "overhead_volume")
        ),
    ]
    return [1e3 * seconds for seconds in one]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="demo-ct", help="a name of the catalogue")
    parser.add_argument("--depth", type=int, default=300, help="number of slices")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slices", type=int, default=60, help="number of single slices")
    add_report_arguments(parser, "remote")
    return parser.parse_args()


if __name__ == "__main__":
    main()
