"""The last of what a process wrote to its stderr."""

from __future__ import annotations

import threading
from typing import BinaryIO

_MOST_BYTES = 64 << 10


class LogTail:
    """Keeps what comes last, however much there is; may be read while it grows."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._turn = threading.Lock()

    def read_from(self, stream: BinaryIO) -> None:
        """Read ``stream`` to its end: a process whose stderr nobody reads comes to a halt."""
        with stream:
            while piece := stream.read1(_MOST_BYTES):
                with self._turn:
                    self._bytes += piece
                    del self._bytes[:-_MOST_BYTES]

    def text(self) -> str:
        with self._turn:
            return self._bytes.decode("utf-8", "replace")
