"""One connection to a server, kept open from request to request."""

from __future__ import annotations

import http.client
import json
import select
import socket
import ssl
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from GDLACore import __version__
from GDLACore.errors import DownloadError, ServerError
from GDLACore.remote.server import RemoteServer
from GDLACore.remote.timed_response import timed_response
from GDLACore.remote.troubles import Interruption, WrongAnswer, refused, troubles
from GDLACore.storage.proxy import Proxy, proxy_for
from GDLACore.storage.trust import tls_context

_LONGEST_CONNECTING_S = 10.0
_PIECE = 1 << 16
_SUCCESS = 200
_GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True)
class Answer:
    """What a server said: ``headers`` by names in small letters, and the unpacked ``body``."""

    headers: Mapping[str, str]
    body: bytes


def trusted_certificates(server: RemoteServer) -> ssl.SSLContext | None:
    """Return what a secure connection to ``server`` is made with; None if it is not to be secure.

    Raises ServerError if its CA file, or what the system names, cannot be used.
    """
    if not server.is_secure:
        return None
    if server.ca_file is None:
        try:
            return tls_context()
        except DownloadError as error:
            raise ServerError(error.message, error.hint) from error
    try:
        return ssl.create_default_context(cafile=server.ca_file)
    except OSError as error:  # which ssl.SSLError is, too
        reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise ServerError(
            f"The CA file {server.ca_file} cannot be used: {reason}.",
            "Choose the file, in PEM form, of the authority that signed the server's certificate.",
        ) from error


class Connection:
    """A connection to ``server``, for one thread at a time; another may ``hang_up``.

    The system's settings say whether it goes through a proxy, as for downloads; a server without
    TLS is reached directly, for what such proxies pass on is encrypted.
    Raises ServerError if none comes about.
    """

    def __init__(self, server: RemoteServer, context: ssl.SSLContext | None) -> None:
        self._server = server
        self._wire: socket.socket | None = None
        self._hung_up = False
        self._context = context
        self._patience_s = min(server.timeout_s, _LONGEST_CONNECTING_S)
        proxy = _proxy(server) if context is not None else None
        where = (proxy.host, proxy.port) if proxy else (server.hostname, server.port)
        self._http = http.client.HTTPConnection(*where, timeout=self._patience_s)
        # Its own ways to connect cannot be ended from another thread, TLS's handshake neither. And
        # it would do without TLS, which it knows nothing of, if it connected by itself.
        self._http._create_connection = self._connected
        self._http.auto_open = 0
        if context is not None:
            self._http.default_port = http.client.HTTPS_PORT
        if proxy:
            self._http.set_tunnel(server.hostname, server.port, proxy.headers)
        self._through = f"{server.host} through the proxy {where[0]}:{where[1]}" if proxy else ""

    def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, most: int
    ) -> Answer:
        """Send a request for ``path``, which counts from "/v2", and return the answer, a success.

        At most ``most`` bytes are taken. Connects first where there is no connection: at first, and
        after an answer with which the server has hung up. Raises ServerError; after any but a
        refusal nothing else can be asked.
        """
        server = self._server
        if self._http.sock is None:
            self._open()
        sent = {"User-Agent": f"GDLASegmenter/{__version__}", "Accept-Encoding": "identity"}
        if body or method == "POST":
            sent["Content-Length"] = str(len(body))
        if server.token is not None:
            sent["Authorization"] = f"Bearer {server.token}"
        end = time.monotonic() + server.timeout_s
        with troubles(server.host, server.timeout_s):
            self._http.sock.settimeout(server.timeout_s)
            self._http.response_class = partial(timed_response, end)
            self._http.request(method, f"{server.path}/v2{path}", body or None, sent | headers)
            with self._http.getresponse() as response:
                told = {name.lower(): value for name, value in response.headers.items()}
                packed = self._received(response, most)
        answer = Answer(told, _unpacked(packed, told, most, server.host))
        if response.status != _SUCCESS:
            raise _refused(response.status, answer, server)
        return answer

    @property
    def is_idle(self) -> bool:
        """Return whether there is a connection on which the server has neither spoken nor gone."""
        wire = self._http.sock
        if wire is None or self._hung_up:
            return False
        try:
            return not select.select([wire], [], [], 0)[0]
        except (OSError, ValueError):  # closed; too many files for select: a new one is as good
            return False

    def hang_up(self) -> None:
        """End whatever waits, in any thread, without the farewell of TLS, which would wait."""
        self._hung_up = True
        if self._wire is not None:
            try:
                socket.socket.shutdown(self._wire, socket.SHUT_RDWR)
            except OSError:
                pass  # the server was faster

    def close(self) -> None:
        """Give the socket back; nobody may be using it."""
        self._hung_up = True
        self._http.close()

    def _open(self) -> None:
        host = self._through or self._server.host
        with troubles(host, self._patience_s, connecting=True):
            # A proxy answers, too, before there is a way to the server.
            end = time.monotonic() + self._patience_s
            self._http.response_class = partial(timed_response, end)
            self._http.connect()
            if self._context is not None:
                self._secure(self._context)

    def _secure(self, context: ssl.SSLContext) -> None:
        name = self._server.hostname
        self._http.sock.settimeout(self._patience_s)  # a proxy's answer has left less
        wire = context.wrap_socket(
            self._http.sock, server_hostname=name, do_handshake_on_connect=False
        )
        # It is this that is to be shut down from now on.
        self._http.sock = self._wire = wire
        if self._hung_up:
            self.hang_up()
        wire.do_handshake()

    def _received(self, response: http.client.HTTPResponse, most: int) -> bytes:
        """Return the answer's body."""
        pieces: list[bytes] = []
        size = 0
        while piece := response.read1(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > most:
                raise _too_long(self._server.host)
        # Unlike read, read1 says nothing of an answer that ends too early.
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        # And of one that tells no length, as one whose head was cut, nobody says where it ends.
        if response.length is None and not response.chunked:
            raise http.client.RemoteDisconnected
        return b"".join(pieces)

    def _connected(
        self, address: tuple[str, int], timeout: float, source_address: object = None
    ) -> socket.socket:
        """Connect as ``socket.create_connection`` does, to be ended by ``hang_up``."""
        problem: OSError | None = None
        for family, kind, protocol, _, where in socket.getaddrinfo(*address, 0, socket.SOCK_STREAM):
            wire = self._wire = socket.socket(family, kind, protocol)
            try:
                wire.settimeout(timeout)
                if self._hung_up:
                    raise ConnectionAbortedError
                wire.connect(where)
                return wire
            except OSError as error:
                wire.close()
                problem = error
        raise problem or OSError("it has no address")


def _refused(status: int, answer: Answer, server: RemoteServer) -> ServerError:
    reason = _reason(answer.body)
    if server.token is not None:  # there are gateways that repeat what they were sent
        reason = reason.replace(server.token, "…")
    error = refused(status, server.host, reason, server.token is not None)
    if isinstance(error, Interruption):
        error.pause_s = _asked_pause(answer.headers)
    return error


def _reason(body: bytes) -> str:
    """Return the reason that a server gives for refusing, "" if it gives none."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    reason = data.get("error") if isinstance(data, dict) else None
    return reason if isinstance(reason, str) else ""


def _asked_pause(headers: Mapping[str, str]) -> float:
    """Return the seconds of a Retry-After, 0 for none and for dates."""
    told = headers.get("retry-after", "")
    return float(told) if told.isascii() and told.isdigit() and len(told) < 6 else 0.0


def _proxy(server: RemoteServer) -> Proxy | None:
    if server.is_local:
        return None
    try:
        return proxy_for(server.hostname)
    except DownloadError as error:
        raise ServerError(error.message, error.hint) from error


def _unpacked(packed: bytes, headers: Mapping[str, str], most: int, host: str) -> bytes:
    """Return what was sent, however it was packed on the way."""
    packing = headers.get("content-encoding", "identity").lower()
    if packing == "identity":
        return packed
    if packing != "gzip":
        raise WrongAnswer(
            f"The server {host} packs its answers in a way that was not asked for.",
            "See that the address is that of a server of models.",
        )
    unpacker = zlib.decompressobj(_GZIP)
    try:
        # A few bytes may stand for gigabytes.
        body = unpacker.decompress(packed, most + 1)
    except zlib.error as error:
        raise WrongAnswer(
            f"An answer of the server {host} is damaged: {error}.", "Try again."
        ) from error
    if len(body) > most:
        raise _too_long(host)
    if not unpacker.eof or unpacker.unused_data:
        raise WrongAnswer(f"An answer of the server {host} is damaged: it is cut.", "Try again.")
    return body


def _too_long(host: str) -> WrongAnswer:
    return WrongAnswer(
        f"The server {host} answers at greater length than any server of models would.",
        "Check the address: another program may be there.",
    )
