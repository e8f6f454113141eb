"""One run of the pipeline in a process of its own; prints what it measured as JSON."""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from stages import Stages, StagesWithMemory
from torch import Tensor

from GDLACore import pipeline
from GDLACore.engine.torch_engine import TorchEngine
from GDLACore.imaging.intensity import Normaliser, normaliser
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.volume import Volume
from GDLACore.imaging.writing import write_segmentation
from GDLACore.model.card import Architecture, IntensityProfile, ModelCard
from GDLACore.model.catalogue import find
from GDLACore.network.checkpoint import build_network, load_model
from GDLACore.network.pvt_gdla import PVTGDLA

RANDOM = {"random-b0": "b0", "random-b2": "b2"}


class MeasuredEngine(TorchEngine):
    """The engine as it is, each of its steps a stage."""

    def __init__(self, network: PVTGDLA, card: ModelCard, device: str, stages: Stages) -> None:
        super().__init__(network, card, device)
        self.stages = stages

    def network_input(self, slices: np.ndarray) -> Tensor:
        with self.stages.stage("resampling"):
            return self._settled(super().network_input(slices))

    def logits(self, images: Tensor) -> Tensor:
        with self.stages.stage("network"):
            return self._settled(super().logits(images))

    def labels(self, logits: Tensor, shape: tuple[int, int], borders: str) -> np.ndarray:
        with self.stages.stage("resampling back"):
            return super().labels(logits, shape, borders)

    def _settled(self, result: Tensor) -> Tensor:
        if result.is_cuda:  # a GPU returns before it has finished
            torch.cuda.synchronize()
        return result


def main() -> None:
    """Read, segment and write once."""
    arguments = _arguments()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    stages = StagesWithMemory() if arguments.memory else Stages()
    with stages.stage("reading DICOM"):
        read_volume(arguments.dicom)
    with stages.stage("reading NRRD"):
        volume = read_volume(arguments.nrrd)
        volume.array.max()  # every byte, were it mapped rather than read
    with stages.stage("loading the model"):
        # Warming up is not part of any stage but this one.
        engine = MeasuredEngine(*_model(arguments.model), arguments.device, Stages())
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


def _model(name: str) -> tuple[PVTGDLA, ModelCard]:
    if name not in RANDOM:
        return load_model(name)
    architecture = Architecture(RANDOM[name], "gdla")
    card = dataclasses.replace(find("synapse").card, architecture=architecture)
    torch.manual_seed(0)
    return build_network(card), card


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("dicom", "nrrd", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("model", "device", "borders"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--memory", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
