"""A hop between a client and a server on this computer: slow, or broken, as it is told to be."""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

# How much travels at a time: at 100 Mbit/s, 1.3 ms.
_CHUNK = 1 << 14
# What is under way in one direction of a connection before the sender is kept waiting.
_CHUNKS_UNDER_WAY = 64

_PATIENCE_S = 60.0  # with the link's own thread

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST


@dataclass(frozen=True)
class Break:
    """What happens to the connection that brings the ``after``-th byte of the answers from now on.

    ``how``: "reset" (RST), "half_close" (the client hears that nothing more will come, but may go
    on sending), "stall" (nothing passes any more, and nobody is told). The bytes before arrive.
    """

    after: int
    how: str


class Link:
    """Listens on a port of its own and passes everything on to ``port``, on 127.0.0.1.

    ``bytes_per_s`` bounds each direction, all connections together; ``delay_s`` is that of each
    direction. With ``certificate`` (a file of a certificate and its key) the client's side is TLS.
    All may be read and changed while bytes pass; ``up`` and ``down`` are the bytes that the client
    sent and received, ``connections`` how many it has opened.
    """

    def __init__(self, port: int, certificate: Path | None = None) -> None:
        self.target = port
        self.bytes_per_s = math.inf
        self.delay_s = 0.0
        self.up = self.down = self.connections = 0
        self.broken = threading.Event()
        self._break: Break | None = None
        self._certificate = certificate
        self._free_at = {"up": 0.0, "down": 0.0}
        self._open: set[asyncio.StreamWriter] = set()
        self._silent: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)
        self._listening = threading.Event()

    @property
    def url(self) -> str:
        return f"{'https' if self._certificate else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        assert self._listening.wait(_PATIENCE_S)

    def stop(self) -> None:
        """Close all connections, and refuse others."""
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(_PATIENCE_S)
        assert not self._thread.is_alive()

    def break_after(self, count: int, how: str) -> None:
        """Break one connection after ``count`` more bytes of the answers; see ``Break``."""
        assert how in ("reset", "half_close", "stall")
        self.broken.clear()
        self._break = Break(self.down + count, how)

    def hang_up(self) -> None:
        """Reset every connection there is."""
        self._in_loop(lambda: [_reset(writer) for writer in self._open])

    def stall_all(self) -> None:
        """Let nothing more pass on the connections there are, and tell nobody."""
        self._in_loop(lambda: self._silent.update(self._open))

    def _in_loop(self, work: Callable[[], object]) -> None:
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (work(), done.set()))
        assert done.wait(_PATIENCE_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        self._stopped = asyncio.Event()
        context = None
        if self._certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._certificate)
        self._loop.set_exception_handler(lambda loop, context: None)  # of clients that hang up
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._stopped.wait()
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(
        self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            _reset(to_client)
            return
        _no_delay(to_client), _no_delay(to_server)
        self._open.add(to_client)
        try:
            await asyncio.gather(
                self._direction("up", from_client, to_server),
                self._direction("down", from_server, to_client),
            )
        except OSError:
            pass
        finally:
            self._open.discard(to_client)
            to_client.close()
            to_server.close()

    async def _direction(
        self, name: str, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        """Pass on what comes from ``source``, as late as the link is slow."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS_UNDER_WAY)
        await asyncio.gather(
            self._depart(name, source, under_way), self._arrive(name, under_way, sink)
        )

    async def _depart(
        self, name: str, source: asyncio.StreamReader, under_way: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        while data := await source.read(_CHUNK):
            through = max(self._loop.time(), self._free_at[name]) + len(data) / self.bytes_per_s
            self._free_at[name] = through
            await under_way.put((through + self.delay_s, data))
        await under_way.put((self._loop.time() + self.delay_s, b""))

    async def _arrive(
        self, name: str, under_way: asyncio.Queue[tuple[float, bytes]], sink: asyncio.StreamWriter
    ) -> None:
        while True:
            due, data = await under_way.get()
            if (early := due - self._loop.time()) > 0:
                await asyncio.sleep(early)
            if not data:
                break
            if sink in self._silent:
                await self._stopped.wait()
            if name == "down":
                data, fault = self._before_the_break(data)
                self.down += len(data)
            else:
                fault = None
                self.up += len(data)
            sink.write(data)
            await sink.drain()
            if fault:
                await self._suffer(fault, sink)
                return
        if sink.can_write_eof():
            sink.write_eof()
        else:  # TLS has no half of a connection
            sink.close()

    def _before_the_break(self, data: bytes) -> tuple[bytes, str | None]:
        """Return what of ``data`` still arrives, and what happens then."""
        planned = self._break
        if planned is None or self.down + len(data) < planned.after:
            return data, None
        self._break = None
        return data[: planned.after - self.down], planned.how

    async def _suffer(self, fault: str, to_client: asyncio.StreamWriter) -> None:
        if fault == "reset":
            _reset(to_client)
        elif fault == "half_close":
            to_client.write_eof()
        self.broken.set()
        if fault != "reset":
            await self._stopped.wait()


def _reset(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


def _no_delay(writer: asyncio.StreamWriter) -> None:
    plain = writer.get_extra_info("socket")
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@contextmanager
def linked(port: int, certificate: Path | None = None) -> Iterator[Link]:
    """Return a link to ``port`` that is there for a while."""
    link = Link(port, certificate)
    link.start()
    try:
        yield link
    finally:
        link.stop()
