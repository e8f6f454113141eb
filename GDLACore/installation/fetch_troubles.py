"""Why pip could not reach a package index, in words, and what those who run the network can do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from GDLACore.errors import InstallationError

_STATUS = re.compile(r"\b(4\d\d|5\d\d) (?:Client|Server) Error|too many (5\d\d) error")
_PROXY = re.compile(r"proxy connection error|ProxyError|Tunnel connection failed|407 Client Error")
_LOGIN = re.compile(r"Tunnel connection failed: 407|407 Client Error")
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")
_UNKNOWN_HOST = re.compile(
    r"Failed to resolve (?:IP address for )?'([^']+)'"
    r"|Name or service not known|getaddrinfo failed|nodename nor servname|name resolution"
)
# Windows and macOS have words of their own for it; what else goes wrong begins with "[SSL".
_CERTIFICATE = re.compile(
    r"CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError|ssl certificate: (?!.*\[SSL)"
)
_SECURE = re.compile(r"ssl certificate|SSLError|\[SSL")
_SILENCE = re.compile(r"timed out|didn't respond|Errno (?:60|110)\b|WinError 10060")
_CUT = re.compile(r"without a reply|Remote end closed|Connection aborted|ConnectionResetError")


def other_way() -> str:
    """Return what to do where this computer cannot fetch packages."""
    return "Where the network does not allow it, install from a folder of wheels."


def fetch_trouble(url: str, reason: str, hosts: Sequence[str]) -> InstallationError:
    """Return the error to show when pip gave ``reason`` for not having fetched ``url``.

    ``hosts`` are all that it needs to reach.
    """
    host = urlsplit(url).hostname or url
    allow = (
        f"Those who look after your network have to allow HTTPS to {' and '.join(hosts)}. "
        f"{other_way()}"
    )
    if _PROXY.search(reason):
        return _proxy(host, reason, allow)
    if status := _STATUS.search(reason):
        return _refused(host, int(status.group(1) or status.group(2)), allow)
    if _CERTIFICATE.search(reason):
        return InstallationError(
            f"The certificate of {host} is not trusted: the network looks into encrypted "
            "connections, or the date of this computer is wrong.",
            "If your network signs connections with a certificate of its own, set "
            f"REQUESTS_CA_BUNDLE to its file. {other_way()}",
        )
    if _SECURE.search(reason):
        return InstallationError(f"No secure connection to {host} is possible.", allow)
    if _UNKNOWN_HOST.search(reason):
        return InstallationError(
            f"There is no way to the internet: this computer does not know {host}.",
            f"Check the connection. {allow}",
        )
    if _SILENCE.search(reason):
        return InstallationError(f"{host} did not answer in time.", f"Try again. {allow}")
    if _CUT.search(reason):
        return InstallationError(f"The connection to {host} was cut.", f"Try again. {allow}")
    return InstallationError(f"{host} cannot be reached.", f"Check the connection. {allow}")


def _proxy(host: str, reason: str, allow: str) -> InstallationError:
    tunnel = _TUNNEL.search(reason)
    if _LOGIN.search(reason):
        return InstallationError(
            f"The proxy asks for a login before it passes on {host}.",
            f"Put it into HTTPS_PROXY, as http://user:password@proxy:port. {other_way()}",
        )
    if tunnel:
        return InstallationError(
            f"The proxy does not pass on connections to {host} ({tunnel.group(1)}).", allow
        )
    return InstallationError(
        f"The proxy between this computer and {host} cannot be reached.",
        f"Correct HTTPS_PROXY, or the proxy in the settings of the system. {other_way()}",
    )


def _refused(host: str, status: int, allow: str) -> InstallationError:
    if status == 404:
        return InstallationError(
            f"{host} does not have the package (404).",
            f"pip may be told to look at the wrong place. {allow}",
        )
    if status >= 500 or status == 429:
        return InstallationError(
            f"{host} does not work at present ({status}).", f"Try again later. {other_way()}"
        )
    return InstallationError(f"{host} does not give the package to everyone ({status}).", allow)
