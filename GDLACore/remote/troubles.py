"""What can go wrong between here and a server, in words for users and those who help them."""

from __future__ import annotations

import http.client
import math
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from GDLACore.errors import ServerError

BUSY = "It may be busy or restarting: try again later, or choose another device."

# OpenSSL's: X509_V_ERR_CERT_NOT_YET_VALID, _HAS_EXPIRED, _HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH
_DATES = {9: "it is not valid yet", 10: "it has expired"}
_OTHER_HOST = (62, 64)

_CLOSED = (
    http.client.IncompleteRead,
    http.client.RemoteDisconnected,
    ConnectionError,
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
)

# Of requests that a server or a gateway could not deal with now.
_TEMPORARY = (408, 425, 429, 502, 503, 504)
_OF_THE_PROGRAM = 500

_MOST_TOLD = 200


class Interruption(ServerError):
    """What may well succeed if it is tried once more, for at most ``patience_s`` seconds.

    ``pause_s``: what the server asks to be left alone for.
    """

    patience_s = math.inf
    pause_s = 0.0


class Unreachable(Interruption):
    """No connection came about."""


class Refused(ServerError):
    """The server answers with an HTTP ``status`` that does not get better by itself."""

    def __init__(self, message: str, hint: str, status: int) -> None:
        super().__init__(message, hint)
        self.status = status


class WrongAnswer(ServerError):
    """What a server says is not what it was asked for, or not what it said before.

    Nothing of it may be used, and nobody may go on as if it had not happened.
    """


@contextmanager
def troubles(host: str, waited_s: float, *, connecting: bool = False) -> Iterator[None]:
    """Turn the exceptions of sockets, TLS and HTTP into ServerError, about the server ``host``.

    ``waited_s`` is after how many seconds a time-out comes.
    """
    try:
        yield
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise _in_words(error, host, waited_s, connecting) from error


def refused(status: int, host: str, told: str, token: bool) -> ServerError:
    """Return the error to show for an answer with an HTTP ``status`` that is not a success.

    ``told`` is the server's own reason, and ``token`` whether one was sent.
    """
    said = f": {in_one_line(told)}" if told else ""
    code = f"{status} {http.client.responses.get(status, '')}".strip()
    if status in _TEMPORARY:
        return Interruption(f"The server {host} cannot do its work now ({code}{said}).", BUSY)
    if status == _OF_THE_PROGRAM:
        error = Interruption(f"The server {host} failed ({code}{said}).", BUSY)
        error.patience_s = 2.0  # a process of it may be starting anew; no long wait mends the rest
        return error
    message, hint = _for_good(status, token)
    return Refused(f"The server {host} {message} ({code}{said}).", hint, status)


def _for_good(status: int, token: bool) -> tuple[str, str]:
    if status in (401, 403) and token:
        return "does not accept the token", "Ask those who look after it for a new one."
    if status in (401, 403):
        return (
            "does not work for everyone",
            "Give the token that those who look after it have for you.",
        )
    if 300 <= status < 400:
        return (
            "leads elsewhere instead of answering",
            "Give the address to which it leads, if it is that of your server.",
        )
    if status == 413:
        return (
            "does not take requests as large as a slice",
            "Those who look after it must allow larger ones in the gateway before it.",
        )
    return (
        "refuses what it was asked",
        "See that it is a server of models, and which of them it has.",
    )


def in_one_line(text: str) -> str:
    """Return what a server said, as far as it can stand in a sentence."""
    printable = "".join(c if c.isprintable() else " " for c in text[: 4 * _MOST_TOLD])
    line = " ".join(printable.split()).rstrip(".")
    return line if len(line) <= _MOST_TOLD else f"{line[:_MOST_TOLD]}…"


def _in_words(error: Exception, host: str, waited_s: float, connecting: bool) -> ServerError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate(error, host)
    if isinstance(error, ssl.SSLError) and not isinstance(error, _CLOSED):
        reason = (error.reason or str(error)).replace("_", " ").lower()
        return ServerError(
            f"No secure connection to the server {host} is possible: {reason}.",
            "Check its address: the port may be another, or its address may begin with http://.",
        )
    if isinstance(error, socket.gaierror):
        return Unreachable(
            f"The server {host} cannot be reached: this computer does not know its name.",
            "Check the address, and the connection to the network it is in.",
        )
    if isinstance(error, TimeoutError):
        return _silence(host, waited_s, connecting)
    if isinstance(error, _CLOSED) and not connecting:
        return Interruption(
            f"The server {host} closed the connection before it had answered.", BUSY
        )
    if isinstance(error, http.client.HTTPException):
        return ServerError(
            f"What answers at {host} is not a web server.", "Check the address and its port."
        )
    if isinstance(error, ssl.SSLError):
        return Unreachable(
            f"The server {host} cannot be reached (it closes the connection).",
            "See that it is running, and check its address: the port may be another, or its "
            "address may begin with http://.",
        )
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return Unreachable(
        f"The server {host} cannot be reached ({reason}).",
        "See that it is running, and check the address and the connection to its network.",
    )


def _silence(host: str, waited_s: float, connecting: bool) -> Interruption:
    if connecting:
        return Unreachable(
            f"The server {host} cannot be reached: nothing answers within {waited_s:g} s.",
            "See that it is running, and check the address and the connection to its network.",
        )
    return Interruption(f"The server {host} did not answer within {waited_s:g} s.", BUSY)


def _certificate(error: ssl.SSLCertVerificationError, host: str) -> ServerError:
    message = f"The certificate of the server {host} is not valid"
    if error.verify_code in _DATES:
        return ServerError(
            f"{message}: {_DATES[error.verify_code]}.",
            "Check the date of this computer; else those who look after the server must renew it.",
        )
    if error.verify_code in _OTHER_HOST:
        return ServerError(
            f"{message}: it is another server's.",
            "Give the address with the name that is in the certificate.",
        )
    return ServerError(
        f"{message}: {error.verify_message}.",
        "If it was signed by your hospital's own authority, give that one's certificate as the "
        "CA file.",
    )
