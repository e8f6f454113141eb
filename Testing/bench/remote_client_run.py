"""One of the laptops of remote_clients.py; prints when its slices came, and their checksum.

It has a patient of its own, made from the sample CT, and begins when it is told to on its input.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time

import numpy as np

from GDLACore.engine import load_engine
from GDLACore.engine.protocol import label_type
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.volume import Volume
from GDLACore.pipeline import SliceResult, segment
from GDLACore.remote import RemoteServer
from GDLACore.resources import resource_path


def main() -> None:
    """Segment one patient."""
    arguments = _arguments()
    volume = patient(arguments.number, arguments.depth)
    with load_engine(arguments.model, server=RemoteServer(arguments.server)) as engine:
        print("ready", flush=True)
        sys.stdin.readline()
        labels = np.zeros(volume.shape, label_type(engine.card))
        begin, arrivals = time.monotonic(), []
        for event in segment(volume, engine):
            if isinstance(event, SliceResult):
                event.view.put(labels, event.indices, event.labels)
                arrivals += [time.monotonic()] * len(event.indices)
    checksum = hashlib.sha256(labels.tobytes()).hexdigest()
    print(json.dumps({"begin": begin, "arrivals": arrivals, "checksum": checksum}))


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
    return parser.parse_args()


if __name__ == "__main__":
    main()
