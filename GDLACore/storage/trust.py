"""Whose certificates are believed: the system's, and a network's own where it has one.

Networks that look into encrypted traffic, as hospitals' do, sign it anew with a certificate of
their own. Windows tells Python of it; elsewhere it is in a file.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from GDLACore.errors import DownloadError

# What requests and pip listen to. SSL_CERT_FILE, which OpenSSL listens to, is not the user's inside
# 3D Slicer: its launcher sets it.
CERTIFICATES_VARIABLE = "REQUESTS_CA_BUNDLE"

# Of Debian, of Red Hat, of SUSE, of macOS. A Python that was built elsewhere, as Slicer's is, does
# not know where the system keeps them.
_SYSTEM_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def tls_context() -> ssl.SSLContext:
    """Return what secure connections are made with.

    Raises DownloadError if the certificates that REQUESTS_CA_BUNDLE names cannot be used.
    """
    context = ssl.create_default_context()
    for file in (*_SYSTEM_FILES, _certifi()):
        if file and os.path.isfile(file):
            _add(context, file)
    if named := os.environ.get(CERTIFICATES_VARIABLE):
        path = Path(named)
        try:
            if path.is_dir():
                context.load_verify_locations(capath=path)
            else:
                context.load_verify_locations(cafile=path)
        except OSError as error:  # which ssl.SSLError is, too
            raise DownloadError(
                f"The certificates in {path}, which {CERTIFICATES_VARIABLE} names, cannot be "
                f"read: {error.strerror or error}.",
                "Correct the variable, or unset it.",
            ) from error
    return context


def _add(context: ssl.SSLContext, file: str) -> None:
    try:
        context.load_verify_locations(cafile=file)
    except OSError:
        pass  # the others may do


def _certifi() -> str | None:
    """Return the certificates that come with requests, None without it."""
    try:
        import certifi
    except ImportError:
        return None
    return certifi.where()
