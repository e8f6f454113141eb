"""What all engines do alike: slices in batches, and fewer at a time when memory runs out."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType

import numpy as np

from GDLACore.engine.protocol import label_type
from GDLACore.engine.refusal import refusal_in_words
from GDLACore.errors import EngineError, GDLAError
from GDLACore.model.card import ModelCard

_log = logging.getLogger(__name__)

# What becomes of some slices: one array or several, each with an entry for every slice.
Work = Callable[[np.ndarray], tuple[np.ndarray, ...]]


class SliceEngine(ABC):
    """An ``Engine`` (see there) that lacks only what one library does in its own way."""

    in_flight = 1

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        self.batch_size = 1

    def predict(self, slices: np.ndarray, borders: str) -> np.ndarray:
        """Return the labels of ``slices``; see ``Engine.predict``."""
        labels = np.empty((len(slices), *slices.shape[2:]), label_type(self.card))
        self._fill((labels,), slices, lambda part: (self._labels(part, borders),))
        return labels

    def predict_with_confidence(
        self, slices: np.ndarray, borders: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the labels of ``slices`` and their confidence; see ``Engine``."""
        shape = (len(slices), *slices.shape[2:])
        results = np.empty(shape, label_type(self.card)), np.empty(shape, np.float16)
        self._fill(results, slices, lambda part: self._labels_and_confidence(part, borders))
        return results

    def scores(self, slices: np.ndarray) -> np.ndarray:
        """Return the logits of ``slices``; see ``Engine.scores``."""
        side = self.card.input_size
        scores = np.empty((len(slices), self.card.classes, side, side), np.float32)
        self._fill((scores,), slices, lambda part: (self._scores(part),))
        return scores

    def use_card(self, card: ModelCard) -> None:
        """Feed images as ``card`` says from now on; see ``Engine.use_card``."""
        for field in ("classes", "in_channels", "input_size"):
            if getattr(card, field) != getattr(self.card, field):
                raise ValueError(f"the card {card.name} is of a network with other {field}")
        self.card = card

    def warm_up(self) -> None:
        """Run one empty slice; see ``Engine.warm_up``."""
        size = self.card.input_size
        self.predict(np.zeros((1, self.card.in_channels, size, size), np.float32), "published")

    @property
    @abstractmethod
    def on_cpu(self) -> bool:
        """Return whether the CPU does the arithmetic."""

    @abstractmethod
    def describe(self) -> str:
        """Return the device in use in words, and why it is this one."""

    @abstractmethod
    def close(self) -> None:
        """Give the model's memory back."""

    @abstractmethod
    def _labels(self, slices: np.ndarray, borders: str) -> np.ndarray:
        """Return the labels of at most ``batch_size`` slices."""

    @abstractmethod
    def _labels_and_confidence(
        self, slices: np.ndarray, borders: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the labels of at most ``batch_size`` slices, and their confidence."""

    @abstractmethod
    def _scores(self, slices: np.ndarray) -> np.ndarray:
        """Return the logits of at most ``batch_size`` slices."""

    @abstractmethod
    def _is_out_of_memory(self, error: Exception) -> bool: ...

    @abstractmethod
    def _move_to_cpu(self, reason: str) -> None:
        """Go on with the CPU, which ``describe`` explains by ``reason``; set ``batch_size``."""

    def _fill(self, results: tuple[np.ndarray, ...], slices: np.ndarray, work: Work) -> None:
        """Write ``work`` of all slices into ``results``, a batch at a time."""
        done = 0
        while done < len(slices):
            part = slices[done : done + self.batch_size]
            try:
                for result, of_part in zip(results, work(part), strict=True):
                    result[done : done + len(part)] = of_part
            except GDLAError:
                raise
            except Exception as error:
                if not self._is_out_of_memory(error):
                    raise EngineError(
                        f"The network failed: {refusal_in_words(str(error))}.",
                        "" if self.on_cpu else "Try the device cpu.",
                    ) from error
            else:
                done += len(part)
                continue
            # Only here, outside the handler, are the failed attempt's arrays given back.
            self._use_less_memory(part.shape)

    def _use_less_memory(self, failed: tuple[int, ...]) -> None:
        """Halve the number of slices, or leave the GPU; raise EngineError if neither is left."""
        count, _, height, width = failed
        if count > 1:
            self.batch_size = count // 2
            _log.warning("Out of memory: slices go on in batches of %d.", self.batch_size)
        elif self.on_cpu:
            raise EngineError(
                f"There is not enough memory for one slice of {height} x {width} pixels.",
                "Close other programs and try again.",
            )
        else:
            _log.warning("The GPU has too little memory for one slice: going on with the CPU.")
            self._move_to_cpu("the GPU ran out of memory")

    def __enter__(self) -> SliceEngine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
