"""A real package index on this computer, which fails as it is told to, and is a bad proxy, too."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_CERTIFICATE = Path(__file__).resolve().parents[1] / "tls" / "server.pem"

Answer = Callable[["_Handler"], None]


class PackageIndex(ThreadingHTTPServer):
    """Serves ``wheels``, contents by file name.

    ``page`` and ``file`` answer in its place when it is asked for a package's page or a wheel;
    ``proxied`` is its answer, a status, when it is taken for a proxy. ``paths`` are what it was
    asked for, ``note`` is put behind the links of its pages, such as a checksum.
    """

    daemon_threads = True

    def __init__(self, wheels: Mapping[str, bytes], *, tls: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.wheels = dict(wheels)
        self.page: Answer = listing
        self.file: Answer = whole_file
        self.proxied = 407
        self.note = ""
        self.paths: list[str] = []
        self.reached, self.left = threading.Event(), threading.Event()
        self.released = threading.Event()
        scheme = "https" if tls else "http"
        self.address = f"{scheme}://127.0.0.1:{self.server_address[1]}"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(_CERTIFICATE)
            self.socket = context.wrap_socket(self.socket, server_side=True)

    @property
    def url(self) -> str:
        return f"{self.address}/simple"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that hang up: that is what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: PackageIndex

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        (self.server.file if self.path.endswith(".whl") else self.server.page)(self)

    def do_CONNECT(self) -> None:
        self.close_connection = True
        self.answer(self.server.proxied)

    def answer(self, status: int, body: bytes = b"", kind: str = "text/html") -> None:
        self.start(status, len(body), kind)
        self.wfile.write(body)

    def start(self, status: int, length: int, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(wheels: Mapping[str, bytes], *, tls: bool = False) -> Iterator[PackageIndex]:
    with PackageIndex(wheels, tls=tls) as index:
        threading.Thread(target=index.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield index
        finally:
            index.released.set()
            index.shutdown()


def listing(handler: _Handler) -> None:
    """Answer with links to the wheels of the package."""
    package = handler.path.rstrip("/").rpartition("/")[2]
    names = [
        name
        for name in handler.server.wheels
        if re.sub("[-_.]+", "-", name.partition("-")[0]).lower() == package
    ]
    if not names:
        handler.answer(404)
        return
    note = handler.server.note
    fragment, attribute = (note, "") if note.startswith("#") else ("", note)
    links = "".join(f'<a href="/files/{n}{fragment}" {attribute}>{n}</a>' for n in names)
    handler.answer(200, f"<!DOCTYPE html><html><body>{links}</body></html>".encode())


def whole_file(handler: _Handler) -> None:
    body = handler.server.wheels[handler.path.rpartition("/")[2]]
    handler.answer(200, body, "application/octet-stream")


def cut_file(handler: _Handler) -> None:
    """Answer with the first half of a file, and hang up."""
    body = handler.server.wheels[handler.path.rpartition("/")[2]]
    handler.start(200, len(body), "application/octet-stream")
    handler.wfile.write(body[: len(body) // 2])
    handler.close_connection = True


def endless_file(handler: _Handler) -> None:
    """Answer with half of a file and no more; ``left`` is set when the other side hangs up."""
    body = handler.server.wheels[handler.path.rpartition("/")[2]]
    handler.start(200, len(body), "application/octet-stream")
    handler.wfile.write(body[: len(body) // 2])
    handler.server.reached.set()
    handler.connection.settimeout(60)
    try:
        assert handler.connection.recv(1) == b""
    except ConnectionResetError:  # it left in a hurry
        pass
    handler.server.left.set()
    handler.close_connection = True


def silence(handler: _Handler) -> None:
    handler.server.released.wait()
    handler.close_connection = True


def hanging_up(handler: _Handler) -> None:
    handler.close_connection = True


def status(code: int) -> Answer:
    return lambda handler: handler.answer(code, b"denied")


def text(body: bytes, kind: str = "text/html") -> Answer:
    return lambda handler: handler.answer(200, body, kind)
