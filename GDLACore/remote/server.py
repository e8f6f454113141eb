"""Which server does the work, and what may be said to it."""

from __future__ import annotations

import ipaddress
import math
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from GDLACore.errors import ServerError

_EXAMPLE = "Give an address such as https://gpu.hospital.org or http://127.0.0.1:8000."
_PORTS = {"http": 80, "https": 443}

# What a header can carry without becoming two: nothing blank, nothing beyond ASCII.
_TOKEN = re.compile(r"[!-~]+")
_BLANK = re.compile(r"[\x00-\x20\x7f\\]")


@dataclass(frozen=True)
class RemoteServer:
    """A server of the Open Inference Protocol (KServe v2), as Triton is one.

    ``url``: http:// or https://, host, port and, behind a gateway, a path. ``token`` is sent as
    "Authorization: Bearer" and shown nowhere. ``ca_file`` (PEM) names the only certificates that
    vouch for the server; None for those that this computer believes. ``timeout_s``: seconds to
    wait for an answer, and for a server that went away to come back. ``fall_back``: the user allows
    this computer to go on where the server fails.

    Raises ServerError for an address that cannot be used, a CA file for one without TLS, a token
    that cannot be sent, and one that anybody between here and the server could read.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    timeout_s: float = 30.0
    fall_back: bool = False

    def __post_init__(self) -> None:
        _check(self.url)
        if not (math.isfinite(self.timeout_s) and self.timeout_s > 0):
            raise ValueError(f"timeout_s must be above 0, not {self.timeout_s}")
        if self.ca_file is not None and not self.is_secure:
            raise ServerError(
                "A CA file says nothing about an http:// address.",
                "Use the server's https:// address, or leave the CA file out.",
            )
        if self.token is None:
            return
        if not _TOKEN.fullmatch(self.token):
            raise ServerError(
                "The token holds characters that cannot be sent.",
                "Copy it again: it is one word of letters, digits and signs.",
            )
        if self.is_exposed:
            raise ServerError(
                f"The token would travel to {self.host} where others can read it.",
                "Use the server's https:// address, or no token.",
            )

    @property
    def hostname(self) -> str:
        """Return the name or number of the computer, without a port."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or _PORTS[parts.scheme]

    @property
    def host(self) -> str:
        """Return whom sentences name: the host, with its port where the address has one."""
        return urlsplit(self.url).netloc.lower()

    @property
    def path(self) -> str:
        """Return what precedes "/v2" in the server's paths: "" or "/…"."""
        return urlsplit(self.url).path.rstrip("/").removesuffix("/v2").rstrip("/")

    @property
    def is_secure(self) -> bool:
        return urlsplit(self.url).scheme == "https"

    @property
    def is_exposed(self) -> bool:
        """Return whether others, between here and the server, can read what is sent."""
        return not (self.is_secure or self.is_local)

    @property
    def is_local(self) -> bool:
        """Return whether it is this computer, which no network lies before."""
        if self.hostname == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.hostname).is_loopback
        except ValueError:
            return False


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, brackets that do not close
        raise ServerError("The server's address cannot be understood.", _EXAMPLE) from None
    # Never the address itself before this: it may hold a password.
    if "@" in (parts.netloc if usable else url):
        raise ServerError(
            "The server's address holds a name or a password.",
            "Leave out what precedes the @, and give a token instead.",
        )
    if url and "://" not in url:
        raise ServerError("The server's address lacks http:// or https://.", _EXAMPLE)
    if not usable or _BLANK.search(url) or not url.isascii():
        raise ServerError(f"{url[:200]!r} is not the address of a server.", _EXAMPLE)
    if parts.query or parts.fragment:
        raise ServerError(
            "The server's address has a ? or # in it, which no server of models has.", _EXAMPLE
        )
