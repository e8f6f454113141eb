"""An answer from a server, over a secure connection and through the proxy if there is one."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from GDLACore import __version__
from GDLACore.errors import DownloadError
from GDLACore.storage.control import Control
from GDLACore.storage.proxy import proxy_for
from GDLACore.storage.remote import RemoteFile
from GDLACore.storage.troubles import network_troubles, other_way
from GDLACore.storage.trust import tls_context

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 8
_LOCAL = ("localhost", "127.0.0.1", "::1")
_HEADERS = {
    "User-Agent": f"GDLASegmenter/{__version__}",
    "Accept": "*/*",
    # Packed on the way, it could not be resumed.
    "Accept-Encoding": "identity",
}
# Other characters in a redirection, as some servers send them, would end the request line.
_SAFE = "%/:=&?~#+!$,;'@()*[]"


@contextmanager
def answer(
    remote: RemoteFile,
    headers: Mapping[str, str],
    control: Control,
    connect_s: float,
    stall_s: float,
) -> Iterator[http.client.HTTPResponse]:
    """Ask for ``remote`` with ``headers`` and yield the answer, which may be a refusal.

    Redirections are followed to secure addresses only. ``connect_s`` and ``stall_s`` are the
    seconds to wait for a connection and for more of the answer. A cancellation ends both the wait
    for the answer and a read of it.

    Raises DownloadError, also for what goes wrong with the network inside; Cancelled.
    """
    url = remote.url
    for _ in range(_MOST_REDIRECTS):
        parts = _parts(url, remote)
        with closing(_connected(parts, remote, connect_s)) as connection:
            # The answer takes the socket away from the connection.
            wire = connection.sock
            wire.settimeout(stall_s)
            with control.interrupted_by(partial(_hang_up, wire)):
                with network_troubles(remote, _server(parts)):
                    connection.request("GET", _target(parts), headers={**_HEADERS, **headers})
                    response = connection.getresponse()
                with response:
                    location = response.headers.get("Location")
                    if response.status not in _REDIRECTS or location is None:
                        yield response
                        return
        url = _joined(url, location, remote)
    raise DownloadError(f"{remote.url} leads in a circle.", other_way(remote))


def _joined(url: str, location: str, remote: RemoteFile) -> str:
    try:
        joined = urljoin(url, location)
        _ = urlsplit(joined).port  # looked at only now
    except ValueError:
        raise DownloadError(
            f"{remote.url} leads to an address that cannot be understood.", other_way(remote)
        ) from None
    return joined


def _parts(url: str, remote: RemoteFile) -> SplitResult:
    """Return the parts of ``url``, which is encrypted, or local where ``remote`` is so itself."""
    parts, origin = urlsplit(url), urlsplit(remote.url)
    local = all(p.scheme == "http" and p.hostname in _LOCAL for p in (parts, origin))
    if parts.hostname and (parts.scheme == "https" or local):
        return parts
    if url == remote.url:
        raise DownloadError(f"{url} is not a secure address.", "It must begin with https://.")
    raise DownloadError(
        f"{remote.url} leads to {parts.scheme}://{parts.hostname}, which is not a secure address.",
        f"Your network may want you to log in first: open {remote.url} in a browser. "
        f"{other_way(remote)}",
    )


def _connected(
    parts: SplitResult, remote: RemoteFile, connect_s: float
) -> http.client.HTTPConnection:
    """Return a connection to the host in ``parts``, through the proxy if there is one."""
    host, port, proxy = parts.hostname or "", parts.port, None
    if parts.scheme == "http":
        connection = http.client.HTTPConnection(host, port, timeout=connect_s)
    else:
        proxy, context = proxy_for(host), tls_context()
        first = (proxy.host, proxy.port) if proxy else (host, port)
        connection = http.client.HTTPSConnection(*first, timeout=connect_s, context=context)
        if proxy:
            connection.set_tunnel(host, port or http.client.HTTPS_PORT, proxy.headers)
    server = f"the proxy {proxy.host}:{proxy.port}" if proxy else _server(parts)
    try:
        with network_troubles(remote, server):
            connection.connect()
    except BaseException:
        connection.close()
        raise
    return connection


def _server(parts: SplitResult) -> str:
    return parts.hostname or ""


def _target(parts: SplitResult) -> str:
    target = parts._replace(scheme="", netloc="", fragment="").geturl()
    return quote(target or "/", safe=_SAFE)


def _hang_up(wire: socket.socket) -> None:
    """End whatever waits for ``wire``, without the farewell of TLS, which would wait itself."""
    socket.socket.shutdown(wire, socket.SHUT_RDWR)
