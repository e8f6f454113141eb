"""A model on a real server, the laptops that use it, and what they see of its failures."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier

import golden
import numpy as np
from phantom import make_card
from scipy import ndimage

from GDLACore.cli import main
from GDLACore.engine import load_engine
from GDLACore.engine.protocol import Engine, label_type
from GDLACore.errors import GDLAError
from GDLACore.export.model_file import write_onnx_model
from GDLACore.imaging.volume import Volume
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import SliceResult, segment
from GDLACore.remote import RemoteServer
from GDLACore.weights.loading import ModelWeights
from GDLACore.weights.shapes import weight_shapes

SLICES = 24
_OPTIONS = SegmentOptions(borders="smooth")


@dataclass(frozen=True, eq=False)
class Seen:
    """What a laptop got of a volume, and what its user was told.

    ``labels`` [k, j, i] hold the slices that came, ``slices`` in their order. ``error`` is None if
    none was told; ``warnings`` are those that users are shown. ``fault_s`` is the time from the
    fault, or from the beginning if there was none, to the end.
    """

    labels: np.ndarray = field(repr=False)
    slices: tuple[int, ...]
    error: GDLAError | None
    warnings: tuple[str, ...]
    fault_s: float

    @property
    def checksum(self) -> str:
        return checksum(self.labels)

    @property
    def sentence(self) -> str:
        told = [*self.warnings, *([str(self.error)] if self.error else [])]
        return " ".join(told) or "nothing"


def checksum(labels: np.ndarray) -> str:
    return hashlib.sha256(labels.tobytes()).hexdigest()


def write_retrained_model(path: Path) -> Path:
    """Write the tiny model after more training: all its card says is the same but the weights."""
    card = make_card()
    shapes = weight_shapes(card.architecture, card.in_channels, card.classes)
    arrays = {
        name: 1.25 * array if name.endswith("weight") else array
        for name, array in golden.recipe_weights(shapes).items()
    }
    return write_onnx_model(path, ModelWeights(card, arrays, Path("recipe")))


def export_for_server(model: Path, repository: Path) -> Path:
    """Write ``model`` into a repository for a server with our own backend, and return that.

    A model of the same name is replaced.
    """
    command = ["export", str(model), "--triton", str(repository), "--backend", "python", "--force"]
    assert main(command) == 0
    return repository


def patient(seed: int, shape: tuple[int, int, int] = (SLICES, 70, 92)) -> Volume:
    """Return a CT of noise that no other ``seed`` has, int16 in HU, of slices that all differ."""
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = ndimage.gaussian_filter(noise, (0, 5, 5))
    array = (300 * smooth / smooth.std()).astype(np.int16)
    return Volume(array, np.eye(4), f"CT {seed}", "CT")


def segmented(
    volume: Volume,
    model: Path,
    server: RemoteServer | None,
    at_first_slice: Callable[[], object] = lambda: None,
    at_slices: Callable[[int], object] = lambda count: None,
) -> Seen:
    """Return what a laptop sees of ``volume``. Without a server the laptop computes by itself.

    ``at_first_slice`` is called when the first slices came, and brings about the fault, if any;
    ``at_slices`` whenever some came, with their number.
    """
    begin = time.perf_counter()
    labels, slices, error = np.zeros(0, np.uint8), [], None
    heard = _Warnings()
    logging.getLogger("GDLACore").addHandler(heard)
    try:
        with load_engine(model, device="cpu", server=server) as engine:
            labels = np.zeros(volume.shape, label_type(engine.card))
            begin = time.perf_counter()
            for result in _results(volume, engine):
                result.view.put(labels, result.indices, result.labels)
                if not slices:
                    begin = time.perf_counter()
                    at_first_slice()
                slices.extend(result.indices)
                at_slices(len(result.indices))
    except GDLAError as told:
        error = told
    finally:
        logging.getLogger("GDLACore").removeHandler(heard)
    warnings = tuple(heard.messages)
    return Seen(labels, tuple(slices), error, warnings, time.perf_counter() - begin)


def at_once(
    volumes: Sequence[Volume], model: Path, server: RemoteServer
) -> tuple[list[Seen], list[int]]:
    """Return what as many laptops as ``volumes`` see, that begin together, and how they advance.

    The second: how many slices each laptop had when the first of them had all of its own.
    """
    together = Barrier(len(volumes), timeout=300)
    counts = [0] * len(volumes)
    when_the_first_ended: list[list[int]] = []

    def laptop(number: int) -> Seen:
        def at_slices(count: int) -> None:
            counts[number] += count
            if counts[number] == len(volumes[number].array):
                when_the_first_ended.append(list(counts))

        return segmented(volumes[number], model, server, together.wait, at_slices)

    with ThreadPoolExecutor(len(volumes)) as laptops:
        seen = list(laptops.map(laptop, range(len(volumes))))
    return seen, when_the_first_ended[0]


class _Warnings(logging.Handler):
    """Keeps what users are warned of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def _results(volume: Volume, engine: Engine) -> Iterator[SliceResult]:
    return (event for event in segment(volume, engine, _OPTIONS) if isinstance(event, SliceResult))
