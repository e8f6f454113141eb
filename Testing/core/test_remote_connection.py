"""Secure connections, proxies, and what travels through them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
from file_server import proxied
from inference_server import AUTHORITY, TLS, Handler, InferenceServer, inference_server
from onnx_networks import slices
from phantom import make_card
from served_network import Reply, ServedNetwork
from server_faults import held, stalled

from GDLACore.engine import load_engine
from GDLACore.errors import EngineError, ServerError
from GDLACore.remote import RemoteServer, connection
from GDLACore.remote.client import ServerClient

NETWORK = ServedNetwork(make_card())
SLICES = slices(1, 50, 60)
SERVER = TLS / "server.pem"
SERVERS = TLS.parent / "servers" / "tls"

_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE")


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the settings of the network that the tests run in."""
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def another_computer(monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a name under which this computer looks to the client like another one."""
    lookup = socket.getaddrinfo

    def getaddrinfo(host: str, *others: object) -> list:
        return lookup("127.0.0.1" if host == "gpu.test" else host, *others)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return "gpu.test"


def segmented(server: InferenceServer, **options: object) -> np.ndarray:
    with load_engine("abdomen", server=RemoteServer(server.url, **options)) as engine:
        return engine.predict(SLICES, "smooth")


def test_a_servers_certificate_is_checked_against_the_given_authority():
    with inference_server(NETWORK, certificate=SERVER, token="t0ken") as server:
        assert segmented(server, ca_file=str(AUTHORITY), token="t0ken").any()


def test_without_a_ca_file_the_systems_certificates_count(monkeypatch):
    with inference_server(NETWORK, certificate=SERVER) as server:
        with pytest.raises(
            ServerError, match="certificate of the server .* is not valid"
        ) as caught:
            segmented(server)
        assert "CA file" in caught.value.hint
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(AUTHORITY))
        assert segmented(server).any()


def test_with_a_ca_file_no_other_authority_counts(monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(AUTHORITY))
    with inference_server(NETWORK, certificate=SERVER) as server:
        with pytest.raises(ServerError, match="certificate"):
            segmented(server, ca_file=str(SERVERS / "authority.pem"))


@pytest.mark.parametrize(
    ("certificate", "words"),
    [("expired.pem", "it has expired"), ("other_host.pem", "it is another server's")],
)
def test_a_certificate_that_does_not_vouch_gets_neither_token_nor_slice(certificate, words):
    with inference_server(NETWORK, certificate=SERVERS / certificate) as server:
        with pytest.raises(ServerError) as caught:
            segmented(server, ca_file=str(SERVERS / "authority.pem"), token="t0ken")
        assert words in caught.value.message and server.requests == []
        assert f"127.0.0.1:{server.port}" in caught.value.message


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file"), (b"no certificate", "holds no certificate")]
)
def test_a_ca_file_that_cannot_be_used_is_named(tmp_path, content, reason):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ServerError) as caught:
        ServerClient(RemoteServer("https://gpu.test", ca_file=str(path)))
    assert str(path) in caught.value.message and reason in caught.value.message


def test_certificates_of_the_system_that_cannot_be_used_are_told(monkeypatch, tmp_path):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(ServerError, match="REQUESTS_CA_BUNDLE"):
        ServerClient(RemoteServer("https://gpu.test"))


def test_http_and_https_taken_for_each_other_are_told():
    with inference_server(NETWORK) as server:
        with pytest.raises(ServerError, match="No secure connection") as caught:
            load_engine("abdomen", server=RemoteServer(f"https://127.0.0.1:{server.port}"))
        assert "http://" in caught.value.hint
    with inference_server(NETWORK, certificate=SERVER) as server:
        with pytest.raises(ServerError):
            load_engine("abdomen", server=RemoteServer(f"http://127.0.0.1:{server.port}"))


def test_a_server_that_hangs_up_on_tls_may_have_another_address():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            with suppress(OSError):
                while True:
                    wire, _ = listener.accept()
                    with wire:
                        wire.recv(65536)

        thread = threading.Thread(target=hang_up)
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(ServerError, match="closes the connection") as caught:
            load_engine("abdomen", server=RemoteServer(url))
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert "http://" in caught.value.hint


def test_a_name_that_nobody_knows_is_told(monkeypatch):
    def getaddrinfo(*_: object) -> list:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(ServerError, match="does not know its name"):
        load_engine("abdomen", server=RemoteServer("http://gpu.gdla.invalid:8000"))


def test_a_host_with_an_impossible_name_is_refused():
    with pytest.raises(ServerError):
        load_engine("abdomen", server=RemoteServer(f"http://{'a' * 70}.org"))


def test_a_secure_server_is_reached_through_the_systems_proxy(monkeypatch, another_computer):
    with inference_server(NETWORK, certificate=SERVER) as server, proxied() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        url = f"https://{another_computer}:{server.port}"
        # The certificate is for a number: the connection gets as far as that.
        with pytest.raises(ServerError, match="another server's"):
            address = RemoteServer(url, ca_file=str(AUTHORITY), token="t0ken")
            load_engine("abdomen", server=address)
        assert proxy.requests[0][0].startswith(f"CONNECT {another_computer}:{server.port} ")
        assert "t0ken" not in str(proxy.requests)


def test_a_proxy_that_refuses_is_named(monkeypatch):
    with proxied("403 Forbidden") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:s3cret@{proxy.address}")
        with pytest.raises(ServerError, match="through the proxy 127.0.0.1") as caught:
            load_engine("abdomen", server=RemoteServer("https://gpu.test"))
        assert "403" in caught.value.message and "s3cret" not in str(caught.value)


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nX-Long: "])
def test_a_proxy_that_answers_byte_by_byte_is_given_up(monkeypatch, head):
    released = threading.Event()

    def drip(listener: socket.socket) -> None:
        with listener.accept()[0] as wire:
            wire.sendall(head)
            while not released.wait(0.02):
                wire.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(2) as pool:
        pool.submit(drip, listener)
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{listener.getsockname()[1]}")
        client = ServerClient(RemoteServer("https://gpu.test", timeout_s=0.2))
        waiting = pool.submit(client.ask, "GET", "", patience_s=0.0)
        try:
            with pytest.raises(ServerError, match="through the proxy .* within 0.2 s"):
                waiting.result(60)
        finally:
            released.set()
            client.close()


def test_a_proxy_that_cannot_be_used_is_told(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    with pytest.raises(ServerError, match="kind that is not supported"):
        load_engine("abdomen", server=RemoteServer("https://gpu.test"))


def test_this_computer_and_servers_without_tls_are_reached_directly(monkeypatch, another_computer):
    with inference_server(NETWORK) as plain, proxied("403 Forbidden") as proxy:
        for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy.address}")
        assert segmented(plain).any()
        address = RemoteServer(f"http://{another_computer}:{plain.port}")
        with load_engine("abdomen", server=address) as engine:
            assert engine.predict(SLICES, "smooth").any()
        with inference_server(NETWORK, certificate=SERVER) as secure:
            assert segmented(secure, ca_file=str(AUTHORITY)).any()
        assert proxy.requests == []


def test_slices_that_others_on_the_way_can_see_are_warned_of_once(another_computer, caplog):
    with inference_server(NETWORK) as server:
        assert segmented(server).any()
        assert caplog.records == []
        address = RemoteServer(f"http://{another_computer}:{server.port}")
        with load_engine("abdomen", server=address) as engine:
            for _ in range(2):
                server.hang_up()
                engine.predict(SLICES, "smooth")
    (warning,) = caplog.records
    assert warning.name.startswith("GDLACore.remote.") and warning.levelname == "WARNING"
    assert f"server gpu.test:{server.port} unencrypted" in warning.getMessage()


def test_labels_from_another_computer_come_packed_and_logits_do_not(another_computer):
    with inference_server(NETWORK) as server:
        here = segmented(server)
        address = RemoteServer(f"http://{another_computer}:{server.port}")
        with load_engine("abdomen", server=address) as engine:
            np.testing.assert_array_equal(engine.predict(SLICES, "smooth"), here)
            engine.scores(SLICES)
        packed = [one.headers["Accept-Encoding"] for one in server.inferences]
        assert packed == ["identity", "gzip", "identity"]


@pytest.mark.parametrize("fault", [held, stalled])
def test_closing_ends_a_secure_request_that_waits_without_a_farewell(fault):
    with inference_server(NETWORK, certificate=SERVER) as server, ThreadPoolExecutor(1) as pool:
        address = RemoteServer(server.url, ca_file=str(AUTHORITY), timeout_s=600)
        engine = load_engine("abdomen", server=address)
        server.script = [fault]
        waiting = pool.submit(engine.predict, SLICES, "smooth")
        assert server.reached.wait(60)
        engine.close()
        with pytest.raises(EngineError, match="has been closed"):
            waiting.result(20)


def test_closing_ends_a_handshake_that_is_not_answered(monkeypatch):
    monkeypatch.setattr(connection, "_LONGEST_CONNECTING_S", 600)
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        client = ServerClient(RemoteServer(url, ca_file=str(AUTHORITY), timeout_s=600))
        waiting = pool.submit(client.ask, "GET", "")
        with listener.accept()[0] as wire:
            assert wire.recv(1)  # the client's greeting
            client.close()
            with pytest.raises(EngineError, match="has been closed"):
                waiting.result(60)


def hangs_up_after_it(handler: Handler, reply: Callable[[], Reply]) -> None:
    handler.protocol_version = "HTTP/1.0"
    handler.close_connection = True
    handler.send_reply(reply())


@pytest.mark.parametrize(("certificate", "authority"), [(None, None), (SERVER, str(AUTHORITY))])
def test_a_server_that_hangs_up_after_each_answer_is_called_again(certificate, authority):
    with inference_server(NETWORK, certificate=certificate) as server:
        address = RemoteServer(server.url, ca_file=authority)
        with load_engine("abdomen", server=address) as engine:
            server.script = [hangs_up_after_it] * 2
            several = [engine.predict(SLICES, "smooth") for _ in range(3)]
        np.testing.assert_array_equal(several[0], several[2])
        assert len(server.inferences) == 3  # none of which had to be repeated


def test_one_connection_serves_one_request_after_the_other(monkeypatch):
    with inference_server(NETWORK, certificate=SERVER) as server:
        opened = []
        count = server.process_request
        monkeypatch.setattr(
            server, "process_request", lambda *one: (opened.append(one), count(*one))
        )
        with load_engine(
            "abdomen", server=RemoteServer(server.url, ca_file=str(AUTHORITY))
        ) as engine:
            for _ in range(5):
                engine.predict(SLICES, "smooth")
        assert len(opened) == 1
