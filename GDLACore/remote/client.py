"""Requests to a server: as many at a time as there are threads, tried again within bounds."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Protocol

from GDLACore.errors import EngineError, ModelFileError, ServerError
from GDLACore.model.fields import parse_json
from GDLACore.remote.connection import Answer, Connection, trusted_certificates
from GDLACore.remote.server import RemoteServer
from GDLACore.remote.troubles import Interruption, WrongAnswer

_log = logging.getLogger(__name__)

# Cards have kilobytes; lists of models, of servers that have hundreds, too.
MOST_TEXT = 8 << 20
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
# Firewalls forget connections that are silent for minutes, and tell neither side: a request on one
# would wait for its time-out. Another connection takes milliseconds.
_LONGEST_REST_S = 20.0


class Ask(Protocol):
    """Sends one request for a path, which counts from "/v2", and returns the answer."""

    def __call__(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] = ...,
        body: bytes = ...,
    ) -> Answer: ...


class ServerClient:
    """Talks to ``server`` from any number of threads.

    ``greet``, if set, is called with every new connection's way to ask before anything else is
    asked there: behind one address there may be another server than a moment ago.
    """

    def __init__(self, server: RemoteServer) -> None:
        self.server = server
        self.greet: Callable[[Ask], None] | None = None
        self._context = trusted_certificates(server)
        self._lock = threading.Lock()
        self._idle: list[tuple[Connection, float]] = []  # and since when
        self._busy: set[Connection] = set()
        self._closed = threading.Event()

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] = NO_HEADERS,
        body: bytes = b"",
        most: int = MOST_TEXT,
        patience_s: float | None = None,
    ) -> Answer:
        """Return the answer to a request, a success of at most ``most`` bytes.

        What may succeed later is tried again for ``patience_s`` seconds after it failed first, None
        for the server's ``timeout_s``. Asking twice must do no harm.

        Raises ServerError, at once for what will not succeed; EngineError once this is closed.
        """
        patience = self.server.timeout_s if patience_s is None else patience_s
        first: float | None = None
        for number in itertools.count():
            self._check_open()
            try:
                with self._connection() as connection:
                    return connection.ask(method, path, headers, body, most)
            except ServerError as error:
                self._check_open()  # what was hung up from here is no fault of the server
                if not isinstance(error, Interruption):
                    raise
                now = time.monotonic()
                first = now if first is None else first
                pause = max(error.pause_s, min(_FIRST_PAUSE_S * 2**number, _LONGEST_PAUSE_S))
                if now + pause - first > min(patience, error.patience_s):
                    raise
                _log.info("%s Trying again.", error.message)
            self._closed.wait(pause)
        raise AssertionError("unreachable")

    def close(self) -> None:
        """End all requests, those that wait included; nothing can be asked afterwards."""
        self._closed.set()
        with self._lock:
            idle, self._idle = self._idle, []
            for connection in self._busy:
                connection.hang_up()
        for connection, _ in idle:
            connection.close()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """Lend a connection; keep it for the next request if this one goes well."""
        connection = self._kept() or self._new()
        try:
            yield connection
        except BaseException:
            self._forget(connection)
            raise
        with self._lock:
            self._busy.discard(connection)
            keep = not self._closed.is_set()
            if keep:
                self._idle.append((connection, time.monotonic()))
        if not keep:
            connection.close()

    def _kept(self) -> Connection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection, since = self._idle.pop()
                self._busy.add(connection)
            if connection.is_idle and time.monotonic() - since < _LONGEST_REST_S:
                return connection
            self._forget(connection)

    def _new(self) -> Connection:
        connection = Connection(self.server, self._context)
        with self._lock:
            self._busy.add(connection)
        try:
            self._check_open()
            if self.greet is not None:
                self.greet(_asking(connection))
        except BaseException:
            self._forget(connection)
            raise
        return connection

    def _forget(self, connection: Connection) -> None:
        with self._lock:
            self._busy.discard(connection)
        connection.close()

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise EngineError("The model has been closed.", "Load it again.")


def json_of(answer: Answer, server: RemoteServer) -> Any:
    """Return the JSON in ``answer``; raise WrongAnswer if it is none."""
    try:
        return parse_json(answer.body, "The answer")
    except ModelFileError as error:
        raise WrongAnswer(
            f"What answers at {server.host} is no server of models.",
            "Check the address and its port; a gateway may want you to log in first.",
        ) from error


def _asking(connection: Connection) -> Ask:
    def ask(
        method: str,
        path: str,
        headers: Mapping[str, str] = NO_HEADERS,
        body: bytes = b"",
    ) -> Answer:
        return connection.ask(method, path, headers, body, MOST_TEXT)

    return ask
