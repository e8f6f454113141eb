"""An engine that goes on on this computer when the server fails, where the user allows it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import TypeVar

import numpy as np

from GDLACore.arrivals import is_awaited
from GDLACore.engine.protocol import Engine
from GDLACore.errors import GDLAError, ServerError
from GDLACore.model.card import ModelCard
from GDLACore.remote.troubles import WrongAnswer

_log = logging.getLogger(__name__)

_Result = TypeVar("_Result")

# After so many times what the server's failure took, it is worth trying again: of a hundred frames,
# each would else wait for a server that says nothing.
_PAUSE = 10.0

_SAME_MODEL = "Segment again when the server works, or put its model on this computer."


class EngineWithFallBack:
    """The remote engine that ``open_remote`` gives, and then the local one; see ``Engine``.

    Once a server has failed, everything goes on with ``open_local``'s engine, which is opened only
    then, and a warning says so. Its card must have the hash of the server's weights; ``sha256`` is
    that hash where the server tells none. Only failures count: an answer that is wrong, or results
    that are not numbers, are errors here as they are without this, and who does not wait for the
    result any more (see ``is_awaited``) needs no other engine.

    Raises what ``open_remote`` raises, and ServerError with both reasons if neither can be used.
    """

    def __init__(
        self,
        open_remote: Callable[[], Engine],
        open_local: Callable[[], Engine],
        sha256: str | None = None,
    ) -> None:
        self._open_local = open_local
        self._sha256: str | None = None
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._remote: Engine | None = None
        self._local: Engine | None = None
        self._warning = ""
        self._refusal: ServerError | None = None
        self._closed = False
        self._again_at = 0.0
        begin = time.monotonic()
        try:
            self._remote = open_remote()
            self._sha256 = self._remote.card.sha256 or sha256
        except WrongAnswer:
            raise
        except ServerError as error:
            self._go_on_here(error, begin)

    @property
    def card(self) -> ModelCard:
        return self._current.card

    @property
    def warning(self) -> str:
        """Return the warning that this computer works now, and why; "" while the server does."""
        return "" if self._local is None else self._warning

    @property
    def should_be_opened_again(self) -> bool:
        """Return whether this computer works, and long enough for the server to be back.

        This one will not ask it any more.
        """
        return self._local is not None and time.monotonic() >= self._again_at

    @property
    def batch_size(self) -> int:
        """Return how many slices to give it at a time, now."""
        return self._current.batch_size

    @property
    def in_flight(self) -> int:
        """Return how many batches may be asked for at a time, now."""
        return self._current.in_flight

    def predict(self, slices: np.ndarray, borders: str) -> np.ndarray:
        """Return the labels of ``slices``; see ``Engine.predict``."""
        return self._done(lambda engine: engine.predict(slices, borders))

    def predict_with_confidence(
        self, slices: np.ndarray, borders: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the labels of ``slices`` and their confidence; see ``Engine``."""
        return self._done(lambda engine: engine.predict_with_confidence(slices, borders))

    def scores(self, slices: np.ndarray) -> np.ndarray:
        """Return the logits of ``slices``; see ``Engine.scores``."""
        return self._done(lambda engine: engine.scores(slices))

    def use_card(self, card: ModelCard) -> None:
        """Feed images as ``card`` says from now on; see ``Engine.use_card``."""
        self._current.use_card(card)

    def warm_up(self) -> None:
        """Run one empty slice; see ``Engine.warm_up``."""
        self._done(lambda engine: engine.warm_up())

    def describe(self) -> str:
        """Return who works now, and why it is not the server."""
        if self._local is None:
            return self._current.describe()
        return f"the server failed: running on {self._local.describe()}"

    def close(self) -> None:
        """Give the memory back and end all requests; see ``Engine.close``."""
        self._closed = True
        for engine in (self._remote, self._local):
            if engine is not None:
                engine.close()

    def __enter__(self) -> EngineWithFallBack:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def _current(self) -> Engine:
        engine = self._local or self._remote
        assert engine is not None  # the constructor has opened one
        return engine

    def _done(self, work: Callable[[Engine], _Result]) -> _Result:
        if self._local is None:
            assert self._remote is not None
            begin = time.monotonic()
            try:
                return work(self._remote)
            except WrongAnswer:
                raise
            except GDLAError as error:
                if self._local is None:
                    if not isinstance(error, ServerError):
                        raise
                    self._go_on_here(error, begin)
                # Else another thread's request has failed, and that ended this one.
        with self._turn:  # local engines are not made for several threads
            return work(self._current)

    def _go_on_here(self, error: ServerError, begin: float) -> None:
        """Open the local engine, if no other thread has; raise ``error`` if that fails, too."""
        failed = time.monotonic()
        with self._lock:
            if self._closed or self._refusal is not None or not is_awaited():
                raise self._refusal or error
            if self._local is not None:
                return
            try:
                local = self._opened_local()
            except GDLAError as other:
                self._refusal = ServerError(
                    error.message, f"This computer cannot go on instead: {other}"
                )
                raise self._refusal from error
            self._again_at = failed + _PAUSE * (failed - begin)
            self._warning = f"{error.message} Going on on this computer ({local.describe()})."
            self._local = local
            # Now, for ``close`` waits for no lock: it has either seen this engine, or is seen here.
            if self._closed:
                local.close()
                raise error
            _log.warning("%s", self._warning)
        if self._remote is not None:
            self._remote.close()

    def _opened_local(self) -> Engine:
        """Return the local engine; raise a GDLAError if there is none with the server's weights."""
        with ExitStack() as unless_it_fits:
            local = self._open_local()
            unless_it_fits.callback(local.close)
            if self._sha256 not in (None, local.card.sha256):
                raise ServerError(
                    "The model here is not the server's any more: it has other weights.",
                    _SAME_MODEL,
                )
            if self._remote is not None:
                local.use_card(self._remote.card)
            unless_it_fits.pop_all()
        return local
