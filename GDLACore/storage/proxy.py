"""The proxy between this computer and the internet, as the user or the system names it."""

from __future__ import annotations

import base64
import urllib.request
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from GDLACore.errors import DownloadError

_SETTINGS = "Correct HTTPS_PROXY, or the proxy in the settings of the system."
_PORTS = {"http": 80}


@dataclass(frozen=True)
class Proxy:
    """A proxy that passes encrypted connections on; ``headers`` hold the login to it, if any."""

    host: str
    port: int
    headers: dict[str, str]


def proxy_for(host: str) -> Proxy | None:
    """Return the proxy for an https address on ``host``, None if it is reached directly.

    HTTPS_PROXY and NO_PROXY count, else the settings of Windows or macOS; a script that chooses
    proxies is not understood. Raises DownloadError for a proxy that cannot be used.
    """
    proxies = urllib.request.getproxies()
    address = proxies.get("https") or proxies.get("all")
    if not address or urllib.request.proxy_bypass(host):
        return None
    parts = urlsplit(address if "//" in address else f"http://{address}")
    # Never the whole address: it may hold a password.
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    if parts.scheme != "http":
        raise DownloadError(
            f"The proxy {shown} is of a kind that is not supported.",
            f"{_SETTINGS} Its address must begin with http://, as most proxies' does.",
        )
    try:
        port = parts.port or _PORTS[parts.scheme]
    except ValueError:
        port = 0
    if not parts.hostname or not port:
        raise DownloadError(f"The proxy {shown} is not a usable address.", _SETTINGS)
    return Proxy(parts.hostname, port, _login(parts.username, parts.password))


def _login(user: str | None, password: str | None) -> dict[str, str]:
    if not user:
        return {}
    text = f"{unquote(user)}:{unquote(password or '')}"
    encoded = base64.b64encode(text.encode("utf-8")).decode("ascii")
    return {"Proxy-Authorization": f"Basic {encoded}"}
