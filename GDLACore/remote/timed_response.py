"""An HTTP answer all of which must have come by a certain time.

The time-out of a socket begins anew with every byte: an answer that drips would never end.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any


def timed_response(
    end: float, wire: socket.socket, method: str | None = None
) -> http.client.HTTPResponse:
    """Return the answer to a request of ``method`` that comes from ``wire``.

    Reading it raises TimeoutError from ``end``, as ``time.monotonic`` counts, on.
    """
    source: Any = _Source(wire, end)
    return http.client.HTTPResponse(source, method=method)


class _Source:
    """What of a socket an answer asks for."""

    def __init__(self, wire: socket.socket, end: float) -> None:
        self._wire, self._end = wire, end

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Bytes(self._wire, self._end))


class _Bytes(io.RawIOBase):
    def __init__(self, wire: socket.socket, end: float) -> None:
        super().__init__()
        self._wire, self._end = wire, end
        # Keeps the socket open for the rest of an answer after which the server hangs up.
        self._bytes = wire.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._wire.settimeout(left)
        return self._bytes.readinto(buffer)

    def close(self) -> None:
        self._bytes.close()
        super().close()
