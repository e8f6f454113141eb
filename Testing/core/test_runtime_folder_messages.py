"""What pip says elsewhere: on other systems, in other versions, in other languages."""

from __future__ import annotations

import pytest

from GDLACore.installation.pip_troubles import pip_trouble, told_in_log

FETCH = "Could not fetch URL https://pypi.org/simple/onnxruntime/: {} - skipping"
PROBLEM = "There was a problem confirming the ssl certificate: {}"
NONE = "ERROR: No matching distribution found for onnxruntime>=1.23"

FETCHES = {
    # Windows 11, pip 26
    "Failed to resolve IP address for 'pypi.org' ([Errno 11001] getaddrinfo failed)": "no way to",
    # macOS, pip 23
    "connection error: HTTPSConnectionPool(host='pypi.org', port=443): Max retries exceeded with "
    "url: /simple/onnxruntime/ (Caused by NewConnectionError('<pip._vendor.urllib3.connection."
    "HTTPSConnection object at 0x1>: Failed to establish a new connection: [Errno 8] nodename nor "
    "servname provided, or not known'))": "no way to",
    # Linux with nothing that knows hosts, pip 23
    "connection error: [Errno -3] Temporary failure in name resolution": "no way to",
    PROBLEM.format("certificate is not trusted"): "The certificate of pypi.org is not trusted",
    PROBLEM.format(
        "Eine Zertifikatkette wurde verarbeitet, endete jedoch mit einem Stammzertifikat, das vom "
        "Vertrauensanbieter nicht als vertrauenswürdig eingestuft wird."
    ): "The certificate of pypi.org is not trusted",
    PROBLEM.format("[SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred (_ssl.c:1000)"): "No secure",
    "connection error: [WinError 10060] Ein Verbindungsversuch ist fehlgeschlagen": "in time",
    "connection error: [Errno 60] Operation timed out": "did not answer in time",
    "connection error: [WinError 10061] Es konnte keine Verbindung hergestellt werden": "reached.",
    "connection error: [Errno 101] Network is unreachable": "pypi.org cannot be reached.",
    "connection error: ('Connection aborted.', ConnectionResetError(10054, 'x'))": "was cut.",
    "429 Client Error: Too Many Requests for url: https://pypi.org/": "does not work at present",
    "451 Client Error: Unavailable For Legal Reasons for url: x": "not give the package to every",
    "proxy connection error: ('Unable to connect to proxy', OSError('Tunnel connection failed: "
    "407 authenticationrequired'))": "The proxy asks for a login",
    "407 Client Error: Proxy Authentication Required for url: http://x/": "The proxy asks for a",
    "connection error: HTTPConnectionPool(host='proxy.hospital', port=8407): Max retries exceeded "
    "(Caused by NewConnectionError('[Errno 111] Connection refused'))": "pypi.org cannot be",
    "connection error: (Caused by ProxyError('Cannot connect to proxy.', NewConnectionError('"
    "host='127.0.0.1', port=38407): [Errno 111] Connection refused')))": "The proxy between",
}


@pytest.mark.parametrize("reason", FETCHES)
def test_reasons_for_which_an_index_was_not_reached(reason):
    error = pip_trouble(1, [NONE, FETCH.format(reason)])
    assert FETCHES[reason] in error.message
    assert error.hint.endswith("install from a folder of wheels.")


OTHERS = {
    "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device": (
        "The disk is full."
    ),
    "ERROR: Could not install packages due to an OSError: [WinError 112] Es steht nicht genug "
    "Speicherplatz auf dem Datenträger zur Verfügung: 'C:\\\\x'": "The disk is full.",
    "ERROR: Could not install packages due to an OSError: [Errno 122] Disk quota exceeded": (
        "The disk is full."
    ),
    "ERROR: Could not install packages due to an OSError: [WinError 5] Zugriff verweigert: 'x'": (
        "A file cannot be written: [WinError 5] Zugriff verweigert: 'x'."
    ),
    "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: 'x'": (
        "A file cannot be written: [Errno 13] Permission denied: 'x'."
    ),
    "ERROR: Could not install packages due to an OSError: [Errno 2] No such file or directory: "
    "'C:\\\\x'\nHINT: This error might have occurred since this system does not have Windows Long "
    "Path support enabled. You can find information on how to enable this at ...": (
        "The folder's name is too long for Windows."
    ),
    "pip._vendor.urllib3.exceptions.ReadTimeoutError: HTTPSConnectionPool(host='files."
    "pythonhosted.org', port=443): Read timed out.": "The connection was lost during the download.",
    "pip._vendor.urllib3.exceptions.ProtocolError: ('Connection broken: IncompleteRead(100 bytes "
    "read, 913 more expected)', IncompleteRead(100 bytes read, 913 more expected))": (
        "The connection was lost during the download."
    ),
    "Collecting x\nERROR: Something new\n\n": "pip failed: ERROR: Something new.",
    "Traceback (most recent call last):\n  File x\nValueError: odd\n": (
        "pip failed: ValueError: odd."
    ),
}


@pytest.mark.parametrize("text", OTHERS)
def test_other_messages(text):
    error = pip_trouble(2, text.splitlines())
    assert error.message == OTHERS[text]
    assert error.hint


def test_the_hosts_that_have_to_be_allowed_are_those_that_pip_is_set_up_to_use():
    indexes = "Looking in indexes: https://user:****@mirror.hospital/simple, file:///opt/pypi"
    fetch = FETCH.format("connection error: [Errno 111] Connection refused")
    error = pip_trouble(1, [indexes, NONE, fetch.replace("pypi.org", "mirror.hospital")])
    assert "have to allow HTTPS to mirror.hospital. " in error.hint


@pytest.mark.parametrize("status", [1, -11, 3221225477])
def test_pip_that_ends_without_a_word(status):
    error = pip_trouble(status, [])
    assert error.message == (f"pip did not finish. It ended with status {status} and said nothing.")


def test_a_log_is_read_for_what_could_not_be_had(tmp_path):
    log = tmp_path / "log"
    assert told_in_log(log) == []
    log.write_text(
        "2026-11-22T16:45:07,561 Could not fetch URL https://x/: 403 Client Error - skipping\n"
        "2026-11-22T16:45:07,561 Could not fetch URL https://x/: 403 Client Error - skipping\n"
        "2026-11-22T16:45:07,562   Skipping link: none of the wheel's tags (cp39) are compatible\n"
        "2026-11-22T16:45:07,563 Looking in indexes: https://x/\n",
        encoding="utf-8",
    )
    assert told_in_log(log) == [
        "Could not fetch URL https://x/: 403 Client Error - skipping",
        "Skipping link: none of the wheel's tags (cp39) are compatible",
    ]
