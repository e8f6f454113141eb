"""The requests of remote.py from one laptop's side; prints what each took as JSON.

A process of its own, so that it can run at the other end of a cable.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import deque
from collections.abc import Callable
from urllib.request import urlopen

import numpy as np
from shaped_link import cable_bytes

from GDLACore.engine import load_engine
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.volume import Volume
from GDLACore.model.catalogue import find
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import prepare, segment_volume
from GDLACore.remote import RemoteServer
from GDLACore.resources import resource_path
from GDLACore.worker import (
    Event,
    Failed,
    Finished,
    Loaded,
    ModelRequest,
    PreviewDone,
    Previewed,
    SlicesDone,
    Stopped,
    WorkerClient,
)

_POLL_SECONDS = 0.001
_BORDERS = "smooth"
_NS = 1e-9


class Laptop:
    """A worker that is warm, with a volume that it has seen."""

    def __init__(self, volume: Volume, request: ModelRequest) -> None:
        self.volume, self.request = volume, request
        self.client = WorkerClient()
        self._heard: deque[tuple[Event, float]] = deque()
        self.client.load(request)
        self.device = self.until(Loaded)[0].device
        self.segment(range(1))

    def segment(self, slices: range | None, focus: int | None = None) -> tuple[float, float]:
        """Return the seconds until the first labels, and until all."""
        options = SegmentOptions(slices=slices, focus_slice=focus, borders=_BORDERS)
        begin = time.perf_counter()
        self.client.segment(self.volume, self.request, options, key="CT")
        _, first = self.until(SlicesDone)
        _, last = self.until(Finished)
        return first - begin, last - begin

    def preview(self, index: int) -> float:
        """Return the seconds until the labels of a slice that is being looked at."""
        begin = time.perf_counter()
        self.client.preview(self.volume, self.request, [index], _BORDERS, key="CT")
        _, end = self.until(Previewed)
        self.until(PreviewDone)
        return end - begin

    def until(self, kind: type[Event]) -> tuple[Event, float]:
        """Return the next event of ``kind``, and when it came."""
        while True:
            while self._heard:
                event, when = self._heard.popleft()
                if isinstance(event, kind):
                    return event, when
                if isinstance(event, Failed | Stopped):
                    raise SystemExit(f"{event}\n{self.client.log()}")
            time.sleep(_POLL_SECONDS)
            events, now = self.client.poll(), time.perf_counter()
            self._heard.extend((event, now) for event in events)


class Served:
    """What the server itself says of the time that it needed, and the cable of its bytes."""

    def __init__(self, url: str, model: str, on_a_cable: bool) -> None:
        self._address = f"{url}/v2/models/{model}/stats"
        self._on_a_cable = on_a_cable

    def during(self, work: Callable[[], object]) -> dict[str, float]:
        """Return the seconds of ``work`` by the clock and in the server's parts, and the bytes.

        "network" is that of all runs of the model, in which some requests may have been together.
        """
        before = self._now()
        begin = time.perf_counter()
        work()
        clock = time.perf_counter() - begin
        after = self._now()
        return {"clock": clock, **{name: after[name] - before[name] for name in after}}

    def _now(self) -> dict[str, float]:
        up, down = cable_bytes() if self._on_a_cable else (0, 0)
        (stats,) = json.loads(urlopen(self._address).read())["model_stats"]
        batches = stats.get("batch_stats", ())
        parts = {
            part: _NS * sum(int(batch[key]["ns"]) for batch in batches)
            for part, key in (
                ("receiving", "compute_input"),
                ("network", "compute_infer"),
                ("sending", "compute_output"),
            )
        }
        queue = _NS * int(stats["inference_stats"]["queue"]["ns"])
        runs = sum(int(batch["compute_infer"]["count"]) for batch in batches)
        return {**parts, "queue": queue, "runs": runs, "up": up, "down": down}


def main() -> None:
    """Segment in every way."""
    arguments = _arguments()
    sample = read_volume(resource_path("samples", "ct-abdomen-dicom"))
    array = np.resize(sample.array, (arguments.depth, *sample.array.shape[1:]))
    volume = Volume(array, sample.ijk_to_ras, "CT", "CT")
    server = RemoteServer(arguments.server) if arguments.server else None
    jumps = np.random.default_rng(0).permutation(arguments.depth)[: arguments.slices].tolist()
    laptop = Laptop(volume, ModelRequest(arguments.model, server=server))
    whole = [laptop.segment(None, arguments.depth // 2) for _ in range(arguments.rounds)]
    result = {
        "device": laptop.device,
        "whole_first": [first for first, _ in whole],
        "whole_all": [last for _, last in whole],
        "slice": [laptop.segment(range(index, index + 1))[1] for index in jumps],
        "preview": [laptop.preview(index) for index in jumps],
    }
    laptop.client.close()
    if server is not None:
        result |= _overhead(arguments, volume, server, jumps)
    print(json.dumps(result))


def _overhead(
    arguments: argparse.Namespace, volume: Volume, server: RemoteServer, jumps: list[int]
) -> dict[str, object]:
    served = Served(server.url, find(arguments.model).card.name, arguments.cable)
    with load_engine(arguments.model, server=server) as engine:
        prepared = prepare(volume, engine.card)
        images = [prepared.images([index]) for index in jumps]
        engine.predict(images[0], _BORDERS)
        one = [
            served.during(lambda image=image: engine.predict(image, _BORDERS)) for image in images
        ]
        options = SegmentOptions(borders=_BORDERS)
        many = [
            served.during(lambda: segment_volume(volume, engine, options))
            for _ in range(arguments.rounds)
        ]
    return {"one_by_one": one, "volume": many}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--depth", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--slices", type=int, required=True)
    parser.add_argument("--server")
    parser.add_argument("--cable", action="store_true", help="count the bytes on the cable")
    return parser.parse_args()


if __name__ == "__main__":
    main()
