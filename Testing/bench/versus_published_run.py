"""One contender of versus_published.py in a process of its own; prints what it measured as JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from engines import open_engine, use_published_protocol
from memory import peak_mebibytes, resident_mebibytes
from models import ModelFile, model_file
from stages import Stages

from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.view import slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import segment_volume

PUBLISHED = "published"
ALL = slice(None)


@dataclass(frozen=True)
class Contender:
    """What segments, warm: ``segment`` is what is timed.

    ``slices`` makes of its result labels [n, h, w] as the network saw them, to compare.
    """

    device: str
    segment: Callable[[], np.ndarray]
    slices: Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Load, segment once from the volume in memory to its labels, and save these."""
    arguments = _arguments()
    volume, model, stages = read_volume(arguments.nrrd), model_file(arguments.model), Stages()
    make = published if arguments.contender == PUBLISHED else ours
    contender = make(arguments, volume, model, stages)
    loaded = resident_mebibytes()
    total = Stages()
    with total.stage("total"):
        labels = contender.segment()
    result = {
        "device": contender.device,
        "seconds": total.seconds["total"],
        "stages": stages.seconds,
        "loaded_mebibytes": loaded,
        "peak_mebibytes": peak_mebibytes(),
    }
    np.save(arguments.labels, contender.slices(labels))
    print(json.dumps(result))


def published(
    arguments: argparse.Namespace, volume: Volume, model: ModelFile, stages: Stages
) -> Contender:
    """Return the published way, warm."""
    import torch
    from published_way import published_network, read_weights, segment_as_published

    network = published_network(read_weights(model.path), model.card.architecture.encoder)
    # Its files hold the slices as the network takes them, so turning them is none of its time.
    view = slice_view(volume, model.card.slice_axis, model.card.view)
    slices = np.ascontiguousarray(view.take(volume.array, ALL))
    segment_as_published(slices[:1], network, model.card, Stages())
    threads = torch.get_num_threads()
    return Contender(
        device=f"CPU ({threads} thread{'s' if threads != 1 else ''})",
        segment=lambda: segment_as_published(slices, network, model.card, stages),
        slices=lambda labels: labels,
    )


def ours(
    arguments: argparse.Namespace, volume: Volume, model: ModelFile, _stages: Stages
) -> Contender:
    """Return one of our engines in the pipeline, warm."""
    engine = open_engine(arguments.contender, model)
    use_published_protocol(engine)
    engine.warm_up()
    options = SegmentOptions(borders=arguments.borders)
    view = slice_view(volume, engine.card.slice_axis, engine.card.view)
    return Contender(
        device=engine.describe(),
        segment=lambda: segment_volume(volume, engine, options),
        slices=lambda labels: view.take(labels, ALL),
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("contender", "model", "borders"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("nrrd", "labels"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
