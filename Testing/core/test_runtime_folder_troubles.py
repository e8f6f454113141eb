"""What can keep the real pip from its packages: each in a sentence, with what to do about it."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from file_server import AUTHORITY
from installations import PIP, PLAIN, WITHOUT_ROOM, Watched, launcher
from package_index import (
    Answer,
    PackageIndex,
    cut_file,
    hanging_up,
    serving,
    silence,
    status,
    text,
)
from runtime_wheels import runtime_wheel

from GDLACore.installation import RuntimeFolder

pytestmark = pytest.mark.slow

ALLOW = "Those who look after your network have to allow HTTPS to 127.0.0.1. "
PYPI = "have to allow HTTPS to pypi.org and files.pythonhosted.org. "
WHEELS = "Where the network does not allow it, install from a folder of wheels."
CUT = f"The connection was lost during the download. Try again. {WHEELS}"
NO_WHEEL = (
    "onnxruntime-1.32.0-py3-none-any.whl is not a package, or is damaged. Try again: it may have "
    f"been replaced by a message of your network. {WHEELS}"
)
LOG_IN = "Perhaps your network wants you to log in first: open a web page. "

with_addresses = pytest.mark.skipif(
    (24, 2) <= PIP < (25, 0), reason="this pip fails at secure connections to a bare address"
)


@pytest.fixture
def settings(monkeypatch) -> None:
    """Let pip try once, where it is told to and nowhere else."""
    for name in [name for name in os.environ if name.startswith("PIP_") or "proxy" in name.lower()]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "60")


@pytest.fixture
def index(settings, monkeypatch) -> Iterator[PackageIndex]:
    with serving(dict([runtime_wheel(library=os.urandom(1_000_000))])) as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        yield index


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., str]:
    """Return a function that says why an installation failed, after which nothing is left."""

    def why(*python: str) -> str:
        place = tmp_path / "runtime"
        watched = Watched(RuntimeFolder(place, python or None).install(PLAIN))
        error = watched.error()
        assert list(place.iterdir()) == []
        assert watched.installation.log()
        return error

    return why


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as deaf:  # nobody else can get its port meanwhile
        deaf.bind(("127.0.0.1", 0))
        yield deaf.getsockname()[1]


PAGES = {
    "blocked": (
        status(403),
        f"127.0.0.1 does not give the package to everyone (403). {ALLOW}{WHEELS}",
    ),
    "login wanted": (
        status(401),
        f"127.0.0.1 does not give the package to everyone (401). {ALLOW}{WHEELS}",
    ),
    "not there": (
        status(404),
        "127.0.0.1 does not have the package (404). pip may be told to look at the wrong place. "
        f"{ALLOW}{WHEELS}",
    ),
    "out of order": (
        status(500),
        f"127.0.0.1 does not work at present (500). Try again later. {WHEELS}",
    ),
    "hanging up": (hanging_up, f"The connection to 127.0.0.1 was cut. Try again. {ALLOW}{WHEELS}"),
    "garbage": (
        text(b"\x00\xff<<<<"),
        f"What answers at 127.0.0.1 is not a package index. {LOG_IN}{WHEELS}",
    ),
    "broken": (
        text(b"{oops", "application/vnd.pypi.simple.v1+json"),
        f"What answers at 127.0.0.1 is not a package index. {LOG_IN}{WHEELS}",
    ),
    "plain text": (
        text(b"Please log in", "text/plain"),
        f"What answers at 127.0.0.1 is not a package index. {LOG_IN}{WHEELS}",
    ),
    "log-in page": (
        text(b"<html><form>Please log in</form></html>"),
        f"127.0.0.1 has no onnxruntime at all. {LOG_IN}{WHEELS}",
    ),
}


@pytest.mark.parametrize("page", PAGES)
def test_an_index_that_does_not_say_what_it_has(index, told, page):
    answer: Answer
    answer, expected = PAGES[page]
    index.page = answer
    assert told() == expected


@pytest.mark.parametrize(
    "answer, expected",
    [
        (status(403), f"127.0.0.1 does not give the package to everyone (403). {ALLOW}{WHEELS}"),
        # Older ones do not notice that there should have been more.
        (cut_file, CUT if PIP >= (25, 1) else NO_WHEEL),
        (text(b"<html>blocked</html>", "application/octet-stream"), NO_WHEEL),
    ],
)
def test_a_wheel_that_is_not_given(index, told, monkeypatch, answer, expected):
    monkeypatch.setenv("PIP_RESUME_RETRIES", "0")
    index.file = answer
    assert told() == expected


def test_an_index_that_is_silent(index, told, monkeypatch):
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "0.5")
    index.page = silence
    assert told() == f"127.0.0.1 did not answer in time. Try again. {ALLOW}{WHEELS}"


def test_a_wheel_with_another_checksum(index, told):
    index.note = f"#sha256={'0' * 64}"
    assert told() == (
        "What was downloaded is damaged: its checksum is not that of the package index. "
        f"Try again. {WHEELS}"
    )


@pytest.mark.parametrize("other", ["Python", "computer"])
def test_wheels_for_others_only(index, told, other):
    if other == "Python":
        index.note = 'data-requires-python="&gt;=3.99"'
    else:
        index.wheels = dict([runtime_wheel(tag="cp39-cp39-win_amd64")])
    version = ".".join(map(str, sys.version_info[:2]))
    assert told().startswith(f"127.0.0.1 has no onnxruntime for Python {version} on ")


def test_a_server_that_is_down(settings, told, monkeypatch, closed_port):
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{closed_port}/simple")
    assert told() == f"127.0.0.1 cannot be reached. Check the connection. {ALLOW}{WHEELS}"


def test_no_internet(settings, told, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "https://packages.invalid/simple")
    assert told() == (
        "There is no way to the internet: this computer does not know packages.invalid. Check the "
        f"connection. {ALLOW.replace('127.0.0.1', 'packages.invalid')}{WHEELS}"
    )


def test_a_proxy_that_wants_a_login(index, told, monkeypatch):
    monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.setenv("HTTPS_PROXY", index.address)
    assert told() == (
        "The proxy asks for a login before it passes on pypi.org. Put it into HTTPS_PROXY, as "
        f"http://user:password@proxy:port. {WHEELS}"
    )


def test_a_proxy_that_does_not_pass_on(index, told, monkeypatch):
    index.proxied = 403
    monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.setenv("PIP_PROXY", index.address)
    assert told() == (
        "The proxy does not pass on connections to pypi.org (403). Those who look after your "
        f"network {PYPI}{WHEELS}"
    )


def test_a_proxy_that_is_down(settings, told, monkeypatch, closed_port):
    monkeypatch.setenv("PIP_PROXY", f"http://user:secret@127.0.0.1:{closed_port}")
    error = told()
    assert error.startswith("The proxy between this computer and pypi.org cannot be reached. ")
    assert "secret" not in error


@with_addresses
def test_a_network_that_looks_into_encrypted_connections(settings, told, tmp_path, monkeypatch):
    with serving(dict([runtime_wheel()]), tls=True) as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        assert told() == (
            "The certificate of 127.0.0.1 is not trusted: the network looks into encrypted "
            "connections, or the date of this computer is wrong. If your network signs connections "
            f"with a certificate of its own, set REQUESTS_CA_BUNDLE to its file. {WHEELS}"
        )
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(AUTHORITY))
        Watched(RuntimeFolder(tmp_path / "runtime").install(PLAIN)).finished()


@with_addresses
def test_a_server_that_cannot_encrypt(index, told, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("http:", "https:"))
    assert told().startswith("No secure connection to 127.0.0.1 is possible. ")


def test_an_index_without_encryption(settings, told, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://packages.invalid/simple")
    assert told().startswith(
        "pip is told to look for packages at packages.invalid, whose connection is not secure. "
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
def test_a_limit_to_the_size_of_files(index, told, tmp_path):
    assert told(*launcher(tmp_path, WITHOUT_ROOM)).startswith(
        "The files are too large for the file system, or for a limit of your account. "
    )


def test_that_pip_tries_again_is_told(settings, tmp_path, monkeypatch, closed_port):
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{closed_port}/simple")
    watched = Watched(RuntimeFolder(tmp_path / "runtime").install(PLAIN))
    watched.error()
    assert watched.phases == ["preparing", "waiting"]


def test_only_one_index_of_several_has_to_answer(index, tmp_path, monkeypatch, closed_port):
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"http://127.0.0.1:{closed_port}/simple")
    Watched(RuntimeFolder(tmp_path / "runtime").install(PLAIN)).finished()
