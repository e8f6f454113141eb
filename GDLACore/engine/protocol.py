"""What every engine offers."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

import numpy as np

from GDLACore.model.card import ModelCard


class Engine(Protocol):
    """A loaded model on a device. Use it in a ``with`` statement, or call ``close``."""

    card: ModelCard

    @property
    def batch_size(self) -> int:
        """How many slices the device takes at a time; fewer once its memory has run out."""

    @property
    def in_flight(self) -> int:
        """How many batches may be asked for at a time, each on a thread of its own.

        1 but for an engine on another computer, which has others to answer as well and is reached
        over a line that is to be kept busy.
        """

    def predict(self, slices: np.ndarray, borders: str) -> np.ndarray:
        """Return labels [n, h, w], of ``label_type``, of ``slices`` [n, c, h, w].

        ``slices`` are float32 at their own size, after the volume's part of the card's intensity
        profile; any number of them, for the engine divides them into batches.
        ``borders``: "published" takes the largest class on the network's grid and enlarges labels
        by nearest neighbour; "smooth" enlarges the logits linearly first.
        Raises EngineError if the network cannot be run, even slice by slice.
        """

    def predict_with_confidence(
        self, slices: np.ndarray, borders: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what ``predict`` returns, and the confidence, float16 [n, h, w], of every label.

        From 0, undecided between two classes, to 1, certain: by how much the most probable class
        surpasses the next; see ``GDLACore.engine.confidence``. ``slices`` and ``borders`` as for
        ``predict``, and the same errors.
        """

    def scores(self, slices: np.ndarray) -> np.ndarray:
        """Return logits, float32 [n, classes, s, s], on the network's grid, of ``slices``.

        ``slices`` as for ``predict``, and the same errors.
        """

    def use_card(self, card: ModelCard) -> None:
        """Feed images as ``card``, another description of the same network, says from now on.

        Raises ValueError if classes, input channels or input size differ.
        """

    def warm_up(self) -> None:
        """Run one empty slice, so that the first real one is not slowed by set-up."""

    def describe(self) -> str:
        """Return the device in use in words, and why it is this one."""

    def close(self) -> None:
        """Give the model's memory back; nothing can be predicted afterwards."""

    def __enter__(self) -> Engine: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def label_type(card: ModelCard) -> type[np.unsignedinteger]:
    """Return the type of ``card``'s label maps: uint8, or uint16 above 255 structures."""
    return np.uint8 if len(card.labels) <= np.iinfo(np.uint8).max else np.uint16
