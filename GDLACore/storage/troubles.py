"""What can go wrong between here and a server, in words for users and those who help them."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from GDLACore.errors import DownloadError
from GDLACore.storage.remote import RemoteFile
from GDLACore.storage.trust import CERTIFICATES_VARIABLE

LATER = "Try again later."

# OpenSSL's: X509_V_ERR_CERT_NOT_YET_VALID, _HAS_EXPIRED, _HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH
_DATES = (9, 10)
_OTHER_HOST = (62, 64)

_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")

_CLOSED = (
    http.client.IncompleteRead,
    http.client.RemoteDisconnected,
    ConnectionResetError,
    ConnectionAbortedError,
    BrokenPipeError,
    ssl.SSLEOFError,
)

_TEMPORARY = (408, 425, 429, 500, 502, 503, 504)


class Interruption(DownloadError):
    """What may well succeed if it is tried once more."""


def other_way(remote: RemoteFile) -> str:
    """Return what to do where this computer cannot fetch the file."""
    return (
        f"If this network does not allow it, give the address and the SHA-256 {remote.sha256} to "
        f"those who look after your computer, and import the file that they get."
    )


@contextmanager
def network_troubles(remote: RemoteFile, server: str = "") -> Iterator[None]:
    """Turn the exceptions of sockets, TLS and HTTP into DownloadError.

    ``server`` is who is talked to, in words, if not the host of ``remote``: a proxy, for one.
    """
    try:
        yield
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise _in_words(error, remote, server or _host(remote)) from error


def refused(status: int, remote: RemoteFile) -> DownloadError:
    """Return the error to show for an answer with an HTTP ``status`` that is not a success."""
    url, host = remote.url, _host(remote)
    told = f"{status} {http.client.responses.get(status, '')}".strip()
    if status in _TEMPORARY:
        return Interruption(f"{host} cannot deliver {url} at present ({told}).", LATER)
    if status == 407:
        return _proxy_login(remote)
    if status in (401, 403, 451):
        return DownloadError(f"{host} does not give {url} to everyone ({told}).", other_way(remote))
    if status in (404, 410):
        return DownloadError(
            f"{url} does not exist any more ({told}).",
            "Look for a newer version of this program, or get the file elsewhere and import it.",
        )
    return DownloadError(f"{host} does not deliver {url} ({told}).", other_way(remote))


def cut(remote: RemoteFile, reason: str) -> Interruption:
    """Return the error to show when a connection ended too early."""
    return Interruption(
        f"The connection to {remote.url} was lost: {reason}.",
        "Try again: the download goes on where it stopped.",
    )


def _in_words(error: Exception, remote: RemoteFile, server: str) -> DownloadError:
    url = remote.url
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate(error, remote, server)
    if isinstance(error, ssl.SSLError) and not isinstance(error, _CLOSED):
        return DownloadError(
            f"No secure connection to {url} is possible: {error.reason or error}.",
            other_way(remote),
        )
    if isinstance(error, socket.gaierror):
        return DownloadError(
            f"{url} cannot be reached: this computer does not know {server}.",
            _offline(remote),
        )
    if isinstance(error, TimeoutError):
        return cut(remote, "there was no answer for too long")
    if tunnel := _TUNNEL.match(str(error)):
        status = int(tunnel.group(1))
        if status == 407:
            return _proxy_login(remote)
        return DownloadError(
            f"The proxy does not pass on connections to {url} ({status} "
            f"{http.client.responses.get(status, '')}).",
            other_way(remote),
        )
    if isinstance(error, _CLOSED):
        return cut(remote, f"{server} closed it too early")
    if isinstance(error, http.client.HTTPException):
        return DownloadError(f"What answers at {url} is not a web server.", other_way(remote))
    reason = getattr(error, "strerror", None) or error
    return DownloadError(
        f"{url} cannot be reached: {server} cannot be connected to ({reason}).", _offline(remote)
    )


def _offline(remote: RemoteFile) -> str:
    return f"Check the connection to the internet. {other_way(remote)}"


def _certificate(
    error: ssl.SSLCertVerificationError, remote: RemoteFile, server: str
) -> DownloadError:
    message = f"The certificate of {server} is not valid for {remote.url}"
    if error.verify_code in _DATES:
        return DownloadError(
            f"{message}: it is out of date.", "Check the date and the time of this computer."
        )
    if error.verify_code in _OTHER_HOST:
        return DownloadError(f"{message}: it is another server's.", other_way(remote))
    return DownloadError(
        f"{message}: {error.verify_message}.",
        f"If your network signs connections with a certificate of its own, set "
        f"{CERTIFICATES_VARIABLE} to its file. {other_way(remote)}",
    )


def _proxy_login(remote: RemoteFile) -> DownloadError:
    return DownloadError(
        f"The proxy asks for a login before it passes on {remote.url}.",
        f"Put it into HTTPS_PROXY, as http://user:password@proxy:port. {other_way(remote)}",
    )


def _host(remote: RemoteFile) -> str:
    return urlsplit(remote.url).hostname or remote.url
