"""One of the laptops of remote_clients.py; prints what it measured as JSON.

It has a patient of its own, made from the sample CT, and begins when it is told to on its input:
to segment it, or to look at single slices until its input ends.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import sys
import threading
import time
from typing import Any

import numpy as np

from GDLACore.engine import load_engine
from GDLACore.engine.protocol import Engine, label_type
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.volume import Volume
from GDLACore.pipeline import SliceResult, prepare, segment, segment_slices
from GDLACore.remote import RemoteServer
from GDLACore.resources import resource_path


def main() -> None:
    """Work when told to."""
    arguments = _arguments()
    volume = patient(arguments.number, arguments.depth)
    with load_engine(arguments.model, server=RemoteServer(arguments.server)) as engine:
        engine.warm_up()
        print("ready", flush=True)
        sys.stdin.readline()
        found = looked(volume, engine) if arguments.look else segmented(volume, engine)
    print(json.dumps(found))


def segmented(volume: Volume, engine: Engine) -> dict[str, Any]:
    """Return when ``volume``'s slices came, on the computer's clock, and their checksum."""
    labels = np.zeros(volume.shape, label_type(engine.card))
    begin, arrivals = time.monotonic(), []
    for event in segment(volume, engine):
        if isinstance(event, SliceResult):
            event.view.put(labels, event.indices, event.labels)
            arrivals += [time.monotonic()] * len(event.indices)
    checksum = hashlib.sha256(labels.tobytes()).hexdigest()
    return {"begin": begin, "arrivals": arrivals, "checksum": checksum}


def looked(volume: Volume, engine: Engine) -> dict[str, Any]:
    """Return when, and for how many seconds, each slice was waited for, one after the other."""
    end = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), end.set()), daemon=True).start()
    prepared, looks = prepare(volume, engine.card), []
    for index in itertools.cycle(range(prepared.count)):
        begin = time.monotonic()
        segment_slices(prepared, engine, [index], "smooth")
        if end.is_set():
            return {"looks": looks}
        looks.append((begin, time.monotonic() - begin))
    raise AssertionError("a volume has slices")


def patient(number: int, depth: int) -> Volume:
    """Return the sample CT pushed aside, and every second one smaller: no two are alike."""
    sample = read_volume(resource_path("samples", "ct-abdomen-dicom"))
    array = np.roll(np.resize(sample.array, (depth, *sample.array.shape[1:])), 9 * number, axis=2)
    cropped = array[:, :448, :480] if number % 2 else array
    return Volume(np.ascontiguousarray(cropped), sample.ijk_to_ras, f"CT {number}", "CT")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--server", required=True)
    parser.add_argument("--depth", type=int, required=True)
    parser.add_argument("--number", type=int, required=True)
    parser.add_argument("--look", action="store_true", help="at single slices")
    return parser.parse_args()


if __name__ == "__main__":
    main()
