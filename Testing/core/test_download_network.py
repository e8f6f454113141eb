"""What networks of hospitals do to a download, and what the user is told of it."""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from file_server import AUTHORITY, garbage, hang_up, proxied, served, status, whole

from GDLACore.errors import DownloadError
from GDLACore.storage import RemoteFile, download
from GDLACore.storage.download import Patience
from GDLACore.storage.trust import tls_context

BODY = b"weights" * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()
ONCE = Patience(connect=60, stall=60, attempts=())

_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE")


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the settings of the network that the tests run in."""
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(AUTHORITY))


def remote(url: str) -> RemoteFile:
    return RemoteFile("model.ckpt", url, SHA256)


def refusal(url: str, folder: Path) -> DownloadError:
    with pytest.raises(DownloadError) as caught:
        download(remote(url), folder, patience=ONCE)
    error = caught.value
    assert url in error.message and error.message.endswith(".")
    assert error.hint.endswith(".") and "\n" not in f"{error.message}{error.hint}"
    assert not (folder / "model.ckpt").exists()
    return error


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        (401, "does not give", SHA256),
        (403, "(403 Forbidden)", SHA256),
        (404, "does not exist any more", "newer version"),
        (407, "The proxy asks for a login", "HTTPS_PROXY"),
        (410, "does not exist any more", "newer version"),
        (418, "does not deliver", SHA256),
        (429, "at present (429", "later"),
        (451, "does not give", SHA256),
        (500, "at present (500", "later"),
        (503, "at present (503 Service Unavailable)", "later"),
        (799, "(799)", SHA256),
        (206, "another part", "Try again"),
        (304, "does not deliver", SHA256),
    ],
)
def test_every_refusal_of_a_server_says_what_to_do(tmp_path, code, message, hint):
    with served(BODY) as server:
        server.script = [status(code)]
        error = refusal(server.url, tmp_path)
        assert message in error.message and hint in error.hint


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"\n<!DOCTYPE html><title>Log in</title>", "application/octet-stream"),
        (b"<HTML>", "text/plain"),
        (b"Blocked", "text/html; charset=utf-8"),
    ],
)
def test_a_login_page_in_place_of_the_model_is_recognised(tmp_path, body, kind):
    with served(BODY) as server:
        server.script = [whole(body=body, kind=kind)]
        error = refusal(server.url, tmp_path)
        assert "gives a web page" in error.message and SHA256 in error.hint


def test_what_is_no_web_server_is_named(tmp_path):
    with served(BODY) as server:
        server.script = [garbage]
        assert "is not a web server" in refusal(server.url, tmp_path).message


def test_a_server_that_hangs_up_is_named(tmp_path):
    with served(BODY) as server:
        server.script = [hang_up]
        assert "was lost: 127.0.0.1 closed it" in refusal(server.url, tmp_path).message


@contextmanager
def port_of_nobody() -> Iterator[int]:
    """Keep a port on which nobody listens, so that no other program can begin to."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_a_server_that_is_not_there_is_named(tmp_path):
    with port_of_nobody() as port:
        error = refusal(f"http://127.0.0.1:{port}/model.ckpt", tmp_path)
    assert "cannot be reached: 127.0.0.1 cannot be connected to" in error.message
    assert SHA256 in error.hint


def test_a_host_that_nobody_knows_is_named(tmp_path, monkeypatch):
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)  # some networks answer for every name
    error = refusal("https://models.gdla.invalid/model.ckpt", tmp_path)
    assert "this computer does not know models.gdla.invalid" in error.message


def test_a_host_with_an_impossible_name_is_refused(tmp_path):
    refusal(f"https://{'a' * 70}.org/model.ckpt", tmp_path)


# Encryption


def test_a_certificate_of_the_networks_own_can_be_named(tmp_path, trusted):
    with served(BODY, tls=True) as server:
        assert download(remote(server.url), tmp_path).read_bytes() == BODY


def test_certificates_can_lie_in_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    assert isinstance(tls_context(), ssl.SSLContext)


def test_a_certificate_that_nobody_signed_is_refused(tmp_path):
    with served(BODY, tls=True) as server:
        error = refusal(server.url, tmp_path)
        assert "The certificate of 127.0.0.1 is not valid" in error.message
        assert "REQUESTS_CA_BUNDLE" in error.hint and SHA256 in error.hint
        assert server.requests == []


def test_a_certificate_of_another_server_is_refused(tmp_path, trusted):
    with served(BODY, tls=True) as server:
        error = refusal(server.url.replace("127.0.0.1", "localhost"), tmp_path)
        assert "it is another server's" in error.message and server.requests == []


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_certificates_that_cannot_be_read_are_named(tmp_path, monkeypatch, content):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
    with pytest.raises(DownloadError, match="REQUESTS_CA_BUNDLE names, cannot be read") as caught:
        download(remote("https://127.0.0.1:9/model.ckpt"), tmp_path)
    assert str(file) in caught.value.message


def test_an_address_that_is_not_secure_is_not_asked(tmp_path):
    assert "is not a secure address" in refusal("http://example.org/m.ckpt", tmp_path).message
    assert "is not a secure address" in refusal("file:///etc/passwd", tmp_path).message


# Redirections


def test_redirections_are_followed(tmp_path):
    with served(BODY) as target, served(BODY) as server:
        server.script = [
            status(302, Location="/next?token=a b"),
            status(308, Location=target.url),
        ]
        assert download(remote(server.url), tmp_path).read_bytes() == BODY
        assert server.paths == ["/model.ckpt", "/next?token=a%20b"] and len(target.paths) == 1


@pytest.mark.parametrize(
    "location", ["http://login.hospital/", "ftp://127.0.0.1/model.ckpt", "file:///etc/passwd"]
)
def test_a_redirection_to_what_is_not_secure_is_refused(tmp_path, location):
    with served(BODY) as server:
        server.script = [status(302, Location=location)]
        error = refusal(server.url, tmp_path)
        assert "which is not a secure address" in error.message and "browser" in error.hint


def test_a_secure_server_cannot_lead_to_one_that_is_not(tmp_path, trusted):
    with served(BODY) as plain, served(BODY, tls=True) as server:
        server.script = [status(302, Location=plain.url)]
        assert "which is not a secure address" in refusal(server.url, tmp_path).message
        assert plain.requests == []


@pytest.mark.parametrize("location", ["https://[", "https://host:port/", "https:///x"])
def test_a_redirection_to_nonsense_is_refused(tmp_path, location):
    with served(BODY) as server:
        server.script = [status(302, Location=location)]
        refusal(server.url, tmp_path)


def test_redirections_in_a_circle_end(tmp_path):
    with served(BODY) as server:
        server.script = [status(301, Location=server.url)] * 20
        assert "leads in a circle" in refusal(server.url, tmp_path).message


# Proxies


def through(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)


@pytest.mark.parametrize("address", ["http://{}", "{}", "http://{}/"])
def test_the_proxy_is_used(tmp_path, monkeypatch, trusted, address):
    with served(BODY, tls=True) as server, proxied() as proxy:
        through(monkeypatch, address.format(proxy.address))
        assert download(remote(server.url), tmp_path).read_bytes() == BODY
        (request, headers), *others = proxy.requests
        assert request.startswith("CONNECT 127.0.0.1:") and others == []
        assert not [header for header in headers if "uthorization" in header]


def test_a_login_to_the_proxy_is_passed_on(tmp_path, monkeypatch, trusted):
    with served(BODY, tls=True) as server, proxied() as proxy:
        through(monkeypatch, f"http://dr%40who:p%3Aw@{proxy.address}")
        download(remote(server.url), tmp_path)
        assert "Proxy-Authorization: Basic ZHJAd2hvOnA6dw==" in proxy.requests[0][1]
        assert "Proxy-Authorization" not in server.requests[0]


def test_the_proxy_is_left_out_where_no_proxy_says_so(tmp_path, monkeypatch, trusted):
    with served(BODY, tls=True) as server, proxied() as proxy:
        through(monkeypatch, f"http://{proxy.address}")
        monkeypatch.setenv("NO_PROXY", "example.org,127.0.0.1")
        download(remote(server.url), tmp_path)
        assert proxy.requests == []


@pytest.mark.parametrize(
    ("refused", "message", "hint"),
    [
        ("407 Proxy Authentication Required", "The proxy asks for a login", "user:password@"),
        ("403 Forbidden", "The proxy does not pass on connections", SHA256),
    ],
)
def test_a_proxy_that_refuses_is_told(tmp_path, monkeypatch, refused, message, hint):
    with served(BODY, tls=True) as server, proxied(refused) as proxy:
        through(monkeypatch, f"http://{proxy.address}")
        error = refusal(server.url, tmp_path)
        assert message in error.message and hint in error.hint


def test_a_proxy_that_is_not_there_is_named_without_its_password(tmp_path, monkeypatch):
    with port_of_nobody() as port:
        through(monkeypatch, f"http://user:secret@127.0.0.1:{port}")
        error = refusal("https://example.org/model.ckpt", tmp_path)
    assert f"the proxy 127.0.0.1:{port} cannot be connected to" in error.message
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    "address", ["socks5://u:secret@proxy:1080", "https://u:secret@proxy:8080", "http://proxy:x"]
)
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(tmp_path, monkeypatch, address):
    through(monkeypatch, address)
    with pytest.raises(DownloadError, match="proxy") as caught:
        download(remote("https://example.org/model.ckpt"), tmp_path)
    assert "secret" not in str(caught.value) and "HTTPS_PROXY" in caught.value.hint


def test_nothing_but_the_program_is_named_to_the_server(tmp_path):
    with served(BODY) as server:
        download(remote(server.url), tmp_path)
        sent = server.requests[0]
        assert set(sent) == {"Host", "User-Agent", "Accept", "Accept-Encoding"}
        assert sent["User-Agent"].startswith("GDLASegmenter/")
