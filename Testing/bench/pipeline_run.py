"""One run of the pipeline in a process of its own; prints what it measured as JSON."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from models import model_file
from stages import Stages, StagesWithMemory

from GDLACore import pipeline
from GDLACore.engine.onnx_engine import OnnxEngine
from GDLACore.export.model_file import onnx_model
from GDLACore.imaging.intensity import Normaliser, normaliser
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.volume import Volume
from GDLACore.imaging.writing import write_segmentation
from GDLACore.model.card import IntensityProfile
from GDLACore.weights.loading import load_weights


class MeasuredEngine(OnnxEngine):
    """The engine as it is, each of its steps a stage. One thread: stages must not overlap."""

    stages: Stages

    def network_input(self, slices: np.ndarray) -> np.ndarray:
        with self.stages.stage("resampling"):
            return super().network_input(slices)

    def logits(self, images: np.ndarray) -> np.ndarray:
        with self.stages.stage("network"):
            return super().logits(images)

    def labels(self, logits: np.ndarray, shape: tuple[int, int], borders: str) -> np.ndarray:
        with self.stages.stage("resampling back"):
            return super().labels(logits, shape, borders)


def main() -> None:
    """Read, segment and write once."""
    arguments = _arguments()
    stages = StagesWithMemory() if arguments.memory else Stages()
    with stages.stage("reading DICOM"):
        read_volume(arguments.dicom)
    with stages.stage("reading NRRD"):
        volume = read_volume(arguments.nrrd)
        volume.array.max()  # every byte, were it mapped rather than read
    with stages.stage("loading the model"):
        # Warming up is not part of any stage but this one.
        engine = _engine(arguments.model)
        engine.warm_up()
    engine.stages = stages
    labels = _segment(volume, engine, arguments.borders, stages)
    with stages.stage("writing"):
        write_segmentation(arguments.output, labels, volume, engine.card, overwrite=True)
    print(json.dumps({"device": engine.describe(), **vars(stages)}))


def _segment(volume: Volume, engine: MeasuredEngine, borders: str, stages: Stages) -> np.ndarray:
    """Run the pipeline itself; what none of its parts took is slicing and storing."""
    pipeline.normaliser = _measured_normaliser(stages)
    start, before = time.perf_counter(), sum(stages.seconds.values())
    labels = pipeline.segment_volume(volume, engine, pipeline.SegmentOptions(borders=borders))
    inside = sum(stages.seconds.values()) - before
    stages.seconds["slicing and storing"] = time.perf_counter() - start - inside
    return labels


def _measured_normaliser(stages: Stages) -> Callable[[IntensityProfile, np.ndarray], Normaliser]:
    def measured(profile: IntensityProfile, array: np.ndarray) -> Normaliser:
        with stages.stage("intensity"):
            normalise = normaliser(profile, array)

        def timed(slices: np.ndarray) -> np.ndarray:
            with stages.stage("intensity"):
                return normalise(slices)

        return timed

    return measured


def _engine(name: str) -> MeasuredEngine:
    file = model_file(name)
    model = load_weights(file.path, file.card_name)
    engine = MeasuredEngine(onnx_model(model), model.card, "cpu", threads=1)
    engine.stages = Stages()
    return engine


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("dicom", "nrrd", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("model", "borders"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--memory", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
