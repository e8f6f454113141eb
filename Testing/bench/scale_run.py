"""What one study of a cohort costs one core, in a process of its own; prints it as JSON.

The steps are those of ``gdla batch``, one after the other on one thread. Counted is the time that
the process computes: a site's disks are counted as disks, and whatever else this machine does does
not matter as much. With ``--network-only`` just the network is measured, which is all that depends
on the encoder and not on the images.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from models import model_file

from GDLACore import pipeline
from GDLACore.cohort.doubt import study_doubt
from GDLACore.cohort.hashes import file_hash
from GDLACore.cohort.picture import write_picture
from GDLACore.engine.onnx_engine import OnnxEngine
from GDLACore.export.model_file import onnx_model
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.writing import write_segmentation
from GDLACore.weights.loading import load_weights

FORMATS = ("seg.nrrd", "dcm")


class Stages:
    """Seconds of computing in each stage, of all threads; one that is entered often adds up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure what happens inside; stages must not be nested."""
        start = time.process_time()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - start


class _MeasuredEngine(OnnxEngine):
    """The engine as it is, each of its steps a stage. One thread: stages must not overlap."""

    stages: Stages

    def network_input(self, slices: np.ndarray) -> np.ndarray:
        with self.stages.stage("preparing"):
            return super().network_input(slices)

    def logits(self, images: np.ndarray) -> np.ndarray:
        with self.stages.stage("network"):
            return super().logits(images)

    def labels(self, logits: np.ndarray, shape: tuple[int, int], borders: str) -> np.ndarray:
        with self.stages.stage("labels"):
            return super().labels(logits, shape, borders)

    def confidence(self, logits: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        with self.stages.stage("labels"):
            return super().confidence(logits, shape)


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    measure = _network if arguments.network_only else _study
    print(json.dumps(measure(arguments)))


def _engine(name: str) -> _MeasuredEngine:
    file = model_file(name)
    model = load_weights(file.path, file.card_name)
    engine = _MeasuredEngine(onnx_model(model), model.card, "cpu", threads=1)
    engine.stages = Stages()
    engine.warm_up()
    return engine


def _network(arguments: argparse.Namespace) -> dict[str, float]:
    """Return the seconds of one slice in the network: the median of ``arguments.rounds``."""
    engine = _engine(arguments.model)
    size = engine.card.input_size
    image = np.zeros((1, engine.card.in_channels, size, size), np.float32)
    seconds = []
    for _ in range(arguments.rounds):
        start = time.process_time()
        engine.logits(image)
        seconds.append(time.process_time() - start)
    return {"network": statistics.median(seconds)}


def _study(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the seconds of each stage of one study, and the bytes that it comes and goes in."""
    engine = _engine(arguments.model)
    stages = engine.stages = Stages()
    for name, folder in (("compressed", arguments.compressed), ("plain", arguments.plain)):
        with stages.stage(f"hashing, {name}"):
            for path in sorted(folder.iterdir()):
                file_hash(path)
        with stages.stage(f"reading, {name}"):
            volume = read_volume(folder)
    labels, confidence = _segmented(volume, engine, stages)
    outputs = {}
    for format_ in FORMATS:
        path = arguments.output / f"out.{format_}"
        _second(
            stages,
            f"writing {format_}",
            lambda path=path: write_segmentation(path, labels, volume, engine.card, overwrite=True),
        )
        outputs[format_] = path.stat().st_size
    picture = arguments.output / "out.jpg"
    _second(stages, "picture", lambda: write_picture(picture, volume, labels, engine.card))
    with stages.stage("storing"):
        study_doubt(labels, confidence)
    return {
        "seconds": stages.seconds,
        "bytes": {
            "compressed": _size(arguments.compressed),
            "plain": _size(arguments.plain),
            **outputs,
        },
    }


def _second(stages: Stages, name: str, call: Callable[[], object]) -> None:
    """Measure a second ``call``: the first loads libraries, which one study of many does."""
    call()
    with stages.stage(name):
        call()


def _segmented(
    volume: pipeline.Volume, engine: _MeasuredEngine, stages: Stages
) -> tuple[np.ndarray, np.ndarray]:
    """Run the pipeline; what none of the engine's parts took is intensity, slicing and storing."""
    before = sum(stages.seconds.values())
    start = time.process_time()
    result = pipeline.segment_volume_with_confidence(volume, engine)
    inside = sum(stages.seconds.values()) - before
    stages.seconds["storing"] = time.process_time() - start - inside
    return result


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--network-only", action="store_true")
    parser.add_argument("--rounds", type=int, default=9)
    for name in ("compressed", "plain", "output"):
        parser.add_argument(f"--{name}", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
