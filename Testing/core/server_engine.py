"""An engine that takes several batches at a time and answers when a test says so."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from worker_conversation import CARD, DEADLINE_S, SteppedEngine

from GDLACore.model.card import ModelCard


class ServerEngine(SteppedEngine):
    """Calls the brighter half liver, a slice at a time.

    ``hold()`` lets questions wait from now on, ``let(count)`` answers so many of those that wait,
    the last that came first, and ``free()`` all, now and later. ``most`` is how many ever waited at
    a time, ``threads`` who asked; ``ended`` is set when it was closed.
    """

    batch_size = 1
    in_flight = 3

    def __init__(self, card: ModelCard = CARD, step: Callable[[], None] = lambda: None) -> None:
        super().__init__(card, step)
        self.threads: set[int] = set()
        self.ended = threading.Event()
        self.most = 0
        self.asked = 0
        self._held = False
        self._waiting: list[threading.Event] = []
        self._changed = threading.Condition()

    def predict(self, slices: np.ndarray, borders: str) -> np.ndarray:
        self._wait()
        return super().predict(slices, borders)

    def close(self) -> None:
        super().close()
        self.ended.set()

    def __enter__(self) -> ServerEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def hold(self) -> None:
        self._held = True

    def wait_for(self, waiting: int) -> None:
        """Return when so many wait for their answer."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._waiting) >= waiting, DEADLINE_S)

    def let(self, count: int = 1) -> None:
        with self._changed:
            for _ in range(count):
                self._waiting.pop().set()

    def let_any(self, random: np.random.Generator) -> None:
        """Answer one of those that wait, if any does."""
        with self._changed:
            if self._waiting:
                self._waiting.pop(random.integers(len(self._waiting))).set()

    def free(self) -> None:
        with self._changed:
            self._held = False
            while self._waiting:
                self._waiting.pop().set()

    def _wait(self) -> None:
        answer = threading.Event()
        with self._changed:
            self.asked += 1
            self.threads.add(threading.get_ident())
            if not self._held:
                return
            self._waiting.append(answer)
            self.most = max(self.most, len(self._waiting))
            self._changed.notify_all()
        assert answer.wait(DEADLINE_S)
