"""A real web server on this computer that serves one file, and fails as it is told to."""

from __future__ import annotations

import re
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TLS = Path(__file__).resolve().parents[1] / "tls"
AUTHORITY = TLS / "authority.pem"

Behaviour = Callable[[BaseHTTPRequestHandler], None]


class FileServer(ThreadingHTTPServer):
    """Serves ``body`` under every path; of ``script``, each request takes and follows one entry.

    ``requests`` are the headers of what was asked for, in order. ``released`` ends all waits.
    """

    daemon_threads = True

    def __init__(self, body: bytes, *, tls: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body = body
        self.script: list[Behaviour] = []
        self.requests: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.released = threading.Event()
        self.reached = threading.Event()
        self.scheme = "http"
        if tls:
            self.scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(TLS / "server.pem")
            self.socket = context.wrap_socket(self.socket, server_side=True)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}/model.ckpt"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that hang up: that is what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FileServer

    def do_GET(self) -> None:
        self.server.requests.append(dict(self.headers))
        self.server.paths.append(self.path)
        behaviour = self.server.script.pop(0) if self.server.script else whole()
        behaviour(self)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(body: bytes, *, tls: bool = False) -> Iterator[FileServer]:
    with FileServer(body, tls=tls) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()


def whole(
    *,
    tag: str | None = '"1"',
    modified: str | None = None,
    ranges: bool = True,
    cut_after: int | None = None,
    hang_after: int | None = None,
    told_length: bool = True,
    body: bytes | None = None,
    kind: str = "application/octet-stream",
) -> Behaviour:
    """Serve the file, or from where it is asked for; then cut the connection, or say no more.

    As If-Range demands, the whole file is sent where ``tag`` is not the one asked for.
    """

    def behave(handler: _Handler) -> None:
        content = handler.server.body if body is None else body
        start = _start(handler, tag or modified) if ranges else None
        if start is not None and start >= len(content):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(content)}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        sent = content[start or 0 :]
        handler.send_response(200 if start is None else 206)
        if start is not None:
            span = f"{start}-{len(content) - 1}/{len(content)}"
            handler.send_header("Content-Range", f"bytes {span}")
        if tag is not None:
            handler.send_header("ETag", tag)
        if modified is not None:
            handler.send_header("Last-Modified", modified)
        if told_length:
            handler.send_header("Content-Length", str(len(sent)))
        else:
            handler.send_header("Connection", "close")
        handler.send_header("Content-Type", kind)
        handler.end_headers()
        stop = next((n for n in (cut_after, hang_after) if n is not None), None)
        handler.wfile.write(sent[:stop])
        if hang_after is not None:
            handler.server.reached.set()
            handler.server.released.wait()
        if stop is not None or not told_length:
            handler.close_connection = True

    return behave


def _start(handler: _Handler, validator: str | None) -> int | None:
    asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    if asked is None or handler.headers.get("If-Range", validator) != validator:
        return None
    return int(asked.group(1))


def status(code: int, **headers: str) -> Behaviour:
    """Answer with ``code`` and nothing else."""

    def behave(handler: _Handler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return behave


def garbage(handler: _Handler) -> None:
    """Answer in no language that a browser knows."""
    handler.wfile.write(b"220 mail.hospital ESMTP\r\n")
    handler.close_connection = True


def hang_up(handler: _Handler) -> None:
    """Close the connection without a word."""
    handler.close_connection = True


class _Tunnel(socketserver.StreamRequestHandler):
    """What a proxy does for https: open a connection and pass on bytes."""

    server: Proxy

    def handle(self) -> None:
        lines = iter(lambda: self.rfile.readline().strip().decode("latin-1"), "")
        request, *headers = list(lines)
        self.server.requests.append((request, headers))
        if self.server.refusal:
            self.wfile.write(f"HTTP/1.1 {self.server.refusal}\r\n\r\n".encode())
            return
        host, _, port = request.split()[1].partition(":")
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        pass_on(self, host, int(port))


def pass_on(handler: _Tunnel, host: str, port: int) -> None:
    import socket

    with socket.create_connection((host, port)) as server:
        back = threading.Thread(target=_copy, args=(server, handler.request), daemon=True)
        back.start()
        _copy(handler.request, server)
        back.join()


def _copy(source: object, target: object) -> None:
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
    except OSError:
        pass
    finally:
        try:
            target.shutdown(1)
        except OSError:
            pass


class Proxy(socketserver.ThreadingTCPServer):
    """A proxy; ``refusal`` is the status line with which it refuses to pass anything on."""

    daemon_threads = True

    def __init__(self, refusal: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Tunnel)
        self.refusal = refusal
        self.requests: list[tuple[str, list[str]]] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@contextmanager
def proxied(refusal: str = "") -> Iterator[Proxy]:
    with Proxy(refusal) as proxy:
        threading.Thread(target=proxy.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
