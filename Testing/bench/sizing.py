"""What a server must be for its users: what a slice costs it, in time, memory and on the line.

    python Testing/bench/sizing.py --docs
    python Testing/bench/sizing.py --url https://gpu.hospital.org --row "one H100"

Without an address, a real tritonserver with our Python backend is started here, first on one core,
then on all of them, which it shares with the program that asks it. With one, the rows of that
server are printed: a token, if it wants one, is taken from GDLA_SERVER_TOKEN. Slices are those of
the sample CT, at 512 x 512 pixels, two in a request and eight requests under way as in use.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from fresh import ROOT
from report import add_report_arguments, heading, publish, table

sys.path[:0] = [str(ROOT), str(ROOT / "Testing/servers")]

from models import GOLDEN, ModelFile, model_file  # noqa: E402
from real_triton import RunningTriton, start_triton  # noqa: E402
from scipy import ndimage  # noqa: E402

from GDLACore.cli.options import TOKEN_VARIABLE  # noqa: E402
from GDLACore.engine import load_engine  # noqa: E402
from GDLACore.engine.protocol import Engine  # noqa: E402
from GDLACore.imaging.intensity import normaliser  # noqa: E402
from GDLACore.imaging.reading import read_volume  # noqa: E402
from GDLACore.remote import RemoteServer  # noqa: E402
from GDLACore.resources import resource_path  # noqa: E402

PAGE = ROOT / "docs/server.md"

_MODELS = ("demo-ct", GOLDEN)
_SIDE = 512
_SLICES = 2
_UNDER_WAY = 8

_HEADER = (
    "model, its square",
    "server",
    "slices a second",
    "one slice alone",
    "memory",
    "up, a slice",
    "down, a slice",
)


def main() -> None:
    """Measure, print and save."""
    arguments = _arguments()
    if arguments.url is not None:
        server = RemoteServer(arguments.url, os.environ.get(TOKEN_VARIABLE), arguments.ca_file)
        rows = [_row(name, arguments.row, server, arguments.slices) for name in arguments.models]
        print("\n".join(table(_HEADER, [_cells(row) for row in rows])))
        return
    result = heading(arguments, "sizing", PAGE)
    result["rows"] = [
        row for name in arguments.models for row in _rows_here(name, arguments.slices)
    ]
    publish(arguments, result, _lines(result), PAGE)


def _rows_here(name: str, slices: int) -> Iterator[dict[str, Any]]:
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        _export(model_file(name), Path(folder, "models"))
        for used in sorted({1, len(cores)}):
            words = f"{used} core{'s' if used > 1 else ''} of this computer"
            with _served_on(cores[:used], Path(folder)) as triton:
                row = _row(name, words, RemoteServer(triton.url), slices)
                yield row | {"memory": _memory_bytes(triton.pid)}


@contextmanager
def _served_on(cores: Sequence[int], folder: Path) -> Iterator[RunningTriton]:
    """Yield a server that has ``cores`` for itself and its models."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        triton = start_triton(folder / "models", folder)
    finally:
        os.sched_setaffinity(0, before)
    with triton:
        yield triton


def _export(model: ModelFile, repository: Path) -> None:
    card = () if model.card_name is None else ("--card", model.card_name)
    command = ["export", str(model.path), "--triton", str(repository), "--backend", "python", *card]
    gdla = [sys.executable, "-m", "GDLACore", *command, "--quiet"]
    subprocess.run(gdla, check=True, cwd=ROOT)


def _row(name: str, words: str, server: RemoteServer, slices: int) -> dict[str, Any]:
    """Return what ``slices`` slices of the model called ``name`` took on ``server``."""
    model = model_file(name)
    with load_engine(model.path, card=model.card_name, server=server) as engine:
        pictures = _pictures(engine, slices)
        engine.warm_up()
        labels = engine.predict(pictures[:_SLICES], "smooth")
        alone = [_seconds(engine, one[None]) for one in pictures[:_UNDER_WAY]]
        parts = [pictures[start : start + _SLICES] for start in range(0, slices, _SLICES)]
        begin = time.perf_counter()
        with ThreadPoolExecutor(_UNDER_WAY) as pool:
            list(pool.map(lambda part: engine.predict(part, "smooth"), parts))
        together = time.perf_counter() - begin
        side = engine.card.input_size
        return {
            "model": f"`{name}`, {side} x {side}",
            "server": words,
            "per_second": slices / together,
            "alone": alone,
            "up": 2 * engine.card.in_channels * side**2,
            "down": len(zlib.compress(labels.tobytes())) / len(labels),
        }


def _pictures(engine: Engine, slices: int) -> np.ndarray:
    """Return slices [n, 1, h, w] of the sample CT as the engine takes them, 512 x 512 pixels."""
    volume = read_volume(resource_path("samples", "ct-abdomen-dicom"))
    normalise = normaliser(engine.card.intensity, volume.array)
    scale = [_SIDE / side for side in volume.array.shape[1:]]
    enlarged = [
        ndimage.zoom(normalise(volume.array[number % len(volume.array)]), scale, order=1)
        for number in range(slices)
    ]
    return np.stack(enlarged)[:, None]


def _seconds(engine: Engine, pictures: np.ndarray) -> float:
    begin = time.perf_counter()
    engine.predict(pictures, "smooth")
    return time.perf_counter() - begin


def _memory_bytes(group: int) -> int:
    """Return what the processes of a server, which are a group, hold in memory by themselves."""
    total = 0
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdecimal() and os.getpgid(int(folder.name)) == group:
                pages = (folder / "statm").read_text().split()
                total += (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            continue  # it has just ended
    return total


def _lines(result: dict[str, Any]) -> list[str]:
    rows = [_cells(row) for row in result["rows"]]
    command = "`Testing/bench/sizing.py --url URL --row NAME`"
    rows += [
        [model, "one NVIDIA GPU", f"not measured: {command}", "", "", "", ""]
        for model in dict.fromkeys(row["model"] for row in result["rows"])
    ]
    return table(_HEADER, rows)


def _cells(row: dict[str, Any]) -> list[str]:
    memory = f"{row['memory'] / 2**20:.0f} MB" if "memory" in row else ""
    return [
        row["model"],
        row["server"],
        f"{row['per_second']:.1f}",
        f"{1000 * statistics.median(row['alone']):.0f} ms",
        memory,
        f"{row['up'] / 1000:.0f} kB",
        f"{row['down'] / 1000:.1f} kB",
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="+", default=_MODELS, metavar="MODEL")
    parser.add_argument("--slices", type=int, default=96)
    parser.add_argument("--url", help="measure this server instead")
    parser.add_argument("--row", default="this server", help="what to call it")
    parser.add_argument("--ca-file")
    add_report_arguments(parser, "sizing")
    return parser.parse_args()


if __name__ == "__main__":
    main()
