"""The one model that the worker keeps ready between requests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from GDLACore.engine import Engine, load_engine
from GDLACore.errors import ModelFileError
from GDLACore.model.catalogue import is_card_file, model_file
from GDLACore.remote.fall_back import EngineWithFallBack
from GDLACore.worker.messages import ModelRequest
from GDLACore.worker.patience import awaited

_Identity = tuple[object, ...]


class WarmModel:
    """Loads a model when it is another than the last one, or when its files have changed.

    ``untold`` is what was to be said of it, and of its device, while nobody was listening.
    """

    def __init__(self) -> None:
        self.untold: list[str] = []
        self._engine: Engine | None = None
        self._identity: _Identity | None = None

    def is_ready(self, request: ModelRequest) -> bool:
        """Return whether ``engine`` will not have to load anything."""
        return self._engine is not None and self._identity == _identity(request)

    def engine(self, request: ModelRequest, stop_if_cancelled: Callable[[], None]) -> Engine:
        """Return the engine for ``request``; raise what ``load_engine`` raises.

        ``stop_if_cancelled`` is called while a server is waited for; what it raises ends that.
        """
        if not self.is_ready(request):
            # First, for two models may be more than the memory holds.
            self.close()
            # Before it is read: what is written while it is being read counts as a change.
            identity = _identity(request)
            self._engine = _loaded(request, stop_if_cancelled)
            self._identity = identity
        return self._engine

    def keep(self, message: str) -> None:
        """Put what the engine warns of into ``untold``, once."""
        if message not in self.untold:
            self.untold.append(message)

    def fall_back(self, request: ModelRequest) -> str:
        """Return the warning that this computer already does what ``request``'s server should."""
        if self.is_ready(request) and isinstance(self._engine, EngineWithFallBack):
            return self._engine.warning
        return ""

    def end_fall_back(self) -> None:
        """Forget an engine that went on without its server, if that may be back by now.

        If it stays, so does its warning: whose work failed may have stopped listening before.
        """
        if not isinstance(self._engine, EngineWithFallBack):
            return
        if self._engine.should_be_opened_again:
            self.close()
        elif warning := self._engine.warning:
            self.keep(warning)

    def close(self) -> None:
        """Give the model's memory back."""
        self.untold.clear()
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()


def _loaded(request: ModelRequest, stop_if_cancelled: Callable[[], None]) -> Engine:
    def load() -> Engine:
        return load_engine(
            request.model,
            device=request.device,
            card=request.card,
            runtime=request.runtime,
            threads=request.threads,
            server=request.server,
        )

    if request.server is None:
        return load()
    return awaited(load, stop_if_cancelled, too_late=lambda engine: engine.close())


def _identity(request: ModelRequest) -> _Identity:
    """Return something else whenever loading ``request`` would give something else.

    Raises ModelFileError if its name is not in the catalogue, unless a server may know it.
    """
    files = []
    try:
        path = model_file(request.model)
        files += [path, path.with_suffix(".card.json")]
    except ModelFileError:
        if request.server is None:
            raise
    if request.card is not None and is_card_file(request.card):
        files.append(Path(request.card))
    if request.server is not None and request.server.ca_file is not None:
        files.append(Path(request.server.ca_file))
    return (request, *map(_state, files))


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
