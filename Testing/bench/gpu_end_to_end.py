"""A whole CT from int16 in the host's memory to uint8 there, by everyone who can."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from engines import open_engine, use_published_protocol
from gpu_floor import settle
from gpu_network import (
    PRECISIONS,
    Timing,
    image,
    in_precision,
    runner,
    use_precision,
    use_pytorch_defaults,
)
from gpu_pipeline import DevicePipeline
from label_agreement import agreement
from models import ModelFile
from published_way import published_network, read_weights, segment_as_published
from rounds import round_robin, seconds
from stages import Stages
from torch import nn

from GDLACore.imaging.view import slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import segment_volume

PUBLISHED = "published way"

Segment = Callable[[], np.ndarray]


def end_to_end(
    volume: Volume, model: ModelFile, device: str, contenders: dict[str, Segment], rounds: int
) -> dict[str, dict[str, Any]]:
    """Return times in turns and labels compared with the published way's, for ``contenders``.

    Each returns labels [n, h, w] as the network saw them. The published way joins them.
    """
    stages = Stages()
    contenders = {PUBLISHED: _published(volume, model, device, stages), **contenders}
    labels = {name: segment().copy() for name, segment in contenders.items()}  # and warm
    stages.seconds.clear()

    def timed(segment: Segment) -> float:
        def settled() -> None:
            segment()
            settle(device)

        return seconds(settled)

    turns = {name: lambda segment=segment: timed(segment) for name, segment in contenders.items()}
    times = round_robin(turns, rounds)
    result: dict[str, dict[str, Any]] = {
        name: {
            "seconds": statistics.median(times[name]),
            "speed": statistics.median(
                other / own for own, other in zip(times[name], times[PUBLISHED], strict=True)
            ),
            **agreement(labels[name], labels[PUBLISHED]),
        }
        for name in contenders
    }
    result[PUBLISHED]["stages"] = {name: s / rounds for name, s in stages.seconds.items()}
    return result


def our_engine(name: str, volume: Volume, model: ModelFile, device: str, borders: str) -> Segment:
    """Return the pipeline with one of our engines, as users run it, warm."""
    engine = open_engine(name, model, device)
    use_published_protocol(engine)
    engine.warm_up()
    view = slice_view(volume, engine.card.slice_axis, engine.card.view)
    options = SegmentOptions(borders=borders)

    def segment() -> np.ndarray:
        use_pytorch_defaults()
        return view.take(segment_volume(volume, engine, options), slice(None))

    return segment


def on_device(
    network: nn.Module, timing: Timing, volume: Volume, model: ModelFile, device: str
) -> Segment:
    """Return the pipeline all on ``device``, run in the way that ``timing`` describes."""
    card = model.card
    slices = _slices(volume, model)
    use_precision(timing.precision)
    own = in_precision(network, timing.precision, device)
    with torch.inference_mode():
        images = image(own, timing.batch, card.in_channels, card.input_size)
        run = runner(own, timing.way, images)
    pipeline = DevicePipeline(
        run,
        card,
        slices.shape,
        batch=timing.batch,
        dtype=PRECISIONS[timing.precision],
        device=device,
    )

    def segment() -> np.ndarray:
        use_precision(timing.precision)
        return pipeline(slices)

    return segment


def _published(volume: Volume, model: ModelFile, device: str, stages: Stages) -> Segment:
    network = published_on(model, device)
    slices, card = _slices(volume, model), model.card

    def segment() -> np.ndarray:
        use_pytorch_defaults()
        return segment_as_published(slices, network, card, stages, device)

    return segment


def published_on(model: ModelFile, device: str) -> nn.Module:
    """Return the published way's network on ``device``."""
    return published_network(read_weights(model.path), model.card.architecture.encoder).to(device)


def _slices(volume: Volume, model: ModelFile) -> np.ndarray:
    """Return slices [n, h, w], int16, turned as the network takes them; nobody's time."""
    view = slice_view(volume, model.card.slice_axis, model.card.view)
    return np.array(view.take(volume.array, slice(None)), dtype=np.int16, order="C")
