"""A real server of the Open Inference Protocol on this computer, which fails as it is told to.

with inference_server(ServedNetwork(card)) as server:
    server.script = [status(503), whole]
    ...RemoteServer(server.url)...
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from served_network import (
    HEAD_LENGTH,
    Refused,
    Reply,
    Request,
    ServedNetwork,
    datatype,
    listed,
    right_reply,
)

TLS = Path(__file__).resolve().parents[1] / "tls"
AUTHORITY = TLS / "authority.pem"

Behaviour = Callable[["Handler", Callable[[], Reply]], None]


class InferenceServer(ThreadingHTTPServer):
    """Serves ``networks``; of ``script``, each request to infer takes and follows one entry.

    ``requests`` is everything that was sent, in order. ``released`` ends all waits, ``reached``
    says that one has begun. With ``token``, whoever does not send it is refused. ``general`` are
    status codes, by path, of the answers to other requests than to infer.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        *networks: ServedNetwork,
        certificate: Path | None = None,
        token: str | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.networks = {network.card.name: network for network in networks}
        self.token = token
        self.script: list[Behaviour] = []
        self.general: dict[str, int] = {}
        self.requests: list[Request] = []
        self.released, self.reached = threading.Event(), threading.Event()
        self.about = {"name": "triton", "version": "2.51.0", "extensions": ["binary_tensor_data"]}
        self.scheme = "http"
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        if certificate is not None:
            self.scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            # In the connection's own thread: one that says nothing must not hold up the others.
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    @property
    def port(self) -> int:
        return self.server_address[1]

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def inferences(self) -> list[Request]:
        return [request for request in self.requests if request.path.endswith("/infer")]

    def next_behaviour(self) -> Behaviour:
        with self._lock:
            return self.script.pop(0) if self.script else whole

    def hang_up(self) -> None:
        """Close all connections, as a server that dies does."""
        with self._lock:
            wires, self._open = self._open, set()
        for wire in wires:
            try:
                socket.socket.shutdown(wire, socket.SHUT_RDWR)
            except OSError:
                pass  # the other side was faster

    def process_request(self, request: socket.socket, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that hang up: that is what is tested."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one piece, or small ones wait for each other
    disable_nagle_algorithm = True
    server: InferenceServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._note(b"")
        if self._allowed():
            self._describe(self.path)

    def do_POST(self) -> None:
        request = self._note(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._allowed():
            return
        if self.path == "/v2/repository/index":
            self._describe(self.path)
        else:
            self._infer(request)

    def send_json(self, code: int, data: object) -> None:
        self.send_body(code, json.dumps(data).encode(), {"Content-Type": "application/json"})

    def send_body(self, code: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        accepted = self.headers.get("Accept-Encoding", "")
        if "gzip" in accepted and code == 200:
            packer = zlib.compressobj(1, zlib.DEFLATED, 31)
            body = packer.compress(body) + packer.flush()
            self.send_header("Content-Encoding", "gzip")
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def send_reply(self, reply: Reply) -> None:
        """Send ``reply`` as the protocol's extension for binary tensors says."""
        head = dict(reply.head)
        head["outputs"] = [
            {
                "name": name,
                "datatype": datatype(array),
                "shape": list(array.shape),
                "parameters": {"binary_data_size": array.nbytes},
            }
            for name, array in reply.outputs.items()
        ]
        text = json.dumps(head).encode()
        body = text + b"".join(array.tobytes() for array in reply.outputs.values())
        self.send_body(200, body, {HEAD_LENGTH: str(len(text))})

    def _note(self, body: bytes) -> Request:
        request = Request(self.command, self.path, dict(self.headers), body)
        self.server.requests.append(request)
        return request

    def _allowed(self) -> bool:
        wanted = self.server.token
        if wanted is None or self.headers.get("Authorization") == f"Bearer {wanted}":
            return True
        self.send_json(401, {"error": "unauthorized"})
        return False

    def _describe(self, path: str) -> None:
        if code := self.server.general.get(path):
            self.send_json(code, {"error": "no"})
        elif path == "/v2":
            self.send_json(200, self.server.about)
        elif path == "/v2/repository/index":
            self.send_json(200, [listed(network) for network in self.server.networks.values()])
        else:
            self._describe_model(path)

    def _describe_model(self, path: str) -> None:
        parts = path.removeprefix("/v2/models/").split("/")
        network = self.server.networks.get(parts[0])
        if network is None or network.state != "READY":
            self.send_json(404, {"error": f"Request for unknown model: '{parts[0]}' is not found"})
        elif parts[1:] in ([], ["versions", network.version]):
            self.send_json(200, network.told())
        elif parts[1:] in (["config"], ["versions", network.version, "config"]):
            self.send_json(200, network.config())
        else:
            self.send_json(404, {"error": "not found"})

    def _infer(self, request: Request) -> None:
        behaviour = self.server.next_behaviour()
        try:
            behaviour(self, lambda: right_reply(self.server.networks, request))
        except Refused as refused:
            self.send_json(refused.code, {"error": str(refused)})


@contextmanager
def inference_server(
    *networks: ServedNetwork,
    certificate: Path | None = None,
    token: str | None = None,
    port: int = 0,
) -> Iterator[InferenceServer]:
    """Serve ``networks`` until the end of the ``with`` statement; a port of 0 is any free one."""
    with InferenceServer(*networks, certificate=certificate, token=token, port=port) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            server.hang_up()
            thread.join()


def whole(handler: Handler, reply: Callable[[], Reply]) -> None:
    """Answer rightly."""
    handler.send_reply(reply())
