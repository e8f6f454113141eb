"""The address of a server: what is one, and what is never said of it."""

from __future__ import annotations

import pickle

import pytest

from GDLACore.errors import ServerError
from GDLACore.remote import RemoteServer


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", 8000, ""),
        ("https://GPU.hospital.org", "gpu.hospital.org", 443, ""),
        ("https://gate.hospital.org/triton/", "gate.hospital.org", 443, "/triton"),
        ("http://server/v2/", "server", 80, ""),
        ("https://gate/models/v2", "gate", 443, "/models"),
        ("http://[::1]:8000/", "[::1]:8000", 8000, ""),
    ],
)
def test_an_address_is_understood_in_its_parts(url, host, port, path):
    server = RemoteServer(url)
    assert (server.host, server.port, server.path) == (host, port, path)
    assert server.is_secure == url.startswith("https")
    assert server.is_exposed == (url == "http://server/v2/")


NO_ADDRESSES = [
    *("", "gpu", "gpu:8000", "ftp://gpu", "grpc://gpu:8001", "http://", "https://:8000"),
    *("http://gpu:0", "http://gpu:99999", "http://gpu:x", "http://[::1", "http://g pu"),
    *("http://gpu/a b", "http://gpu?x=1", "http://gpu#x", "http://gpü", "http://gpu\\x"),
    "http://gpu\r\nHost: other",
]


@pytest.mark.parametrize("url", NO_ADDRESSES)
def test_what_is_no_servers_address_is_refused_with_an_example(url):
    with pytest.raises(ServerError) as caught:
        RemoteServer(url)
    assert "https://gpu.hospital.org" in caught.value.hint
    assert "\n" not in str(caught.value) and "\r" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://me:s3cret@gpu", "me:s3cret@gpu:8000", "x://me:s3cret@g"])
def test_a_password_in_the_address_is_refused_and_not_repeated(url):
    with pytest.raises(ServerError) as caught:
        RemoteServer(url)
    assert "s3cret" not in str(caught.value) and "token" in caught.value.hint


@pytest.mark.parametrize("url", ["gpu", "gpu:8000", "127.0.0.1:8000", "gpu.hospital.org/models"])
def test_what_an_address_lacks_is_said(url):
    with pytest.raises(ServerError, match="lacks http:// or https://"):
        RemoteServer(url)


def test_a_ca_file_for_a_server_that_needs_none_is_refused():
    with pytest.raises(ServerError, match="nothing about an http:// address") as caught:
        RemoteServer("http://127.0.0.1:8000", ca_file="hospital.pem")
    assert "https://" in caught.value.hint
    assert RemoteServer("https://gpu", ca_file="hospital.pem").is_secure


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "schlüssel", "tab\t"])
def test_a_token_that_no_header_can_carry_is_refused_and_not_repeated(token):
    with pytest.raises(ServerError) as caught:
        RemoteServer("https://gpu", token=token)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize("host", ["gpu", "10.0.0.7", "127.0.0.1.evil.org", "localhost.evil.org"])
def test_a_token_never_travels_unencrypted_to_another_computer(host):
    RemoteServer(f"https://{host}", token="t0ken")
    RemoteServer(f"http://{host}")
    with pytest.raises(ServerError, match="where others can read it"):
        RemoteServer(f"http://{host}", token="t0ken")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "[::1]"])
def test_a_token_may_stay_on_this_computer_as_it_is(host):
    assert RemoteServer(f"http://{host}:8000", token="t0ken").is_local


def test_a_token_is_shown_nowhere_but_goes_where_the_server_goes():
    server = RemoteServer("https://gpu", token="t0ken")
    assert "t0ken" not in f"{server} {server!r} {[server]}"
    assert pickle.loads(pickle.dumps(server)).token == "t0ken"
    assert server != RemoteServer("https://gpu", token="other")


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_time_to_wait_is_a_time(seconds):
    with pytest.raises(ValueError, match="timeout_s"):
        RemoteServer("https://gpu", timeout_s=seconds)
