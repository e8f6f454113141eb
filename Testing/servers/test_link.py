"""The link that the faults of a network are tested with breaks as it says."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from link import Link, linked

TLS = Path(__file__).resolve().parent / "tls"

PATIENCE_S = 60.0


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that says everything again, until it is told that nothing follows."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        threading.Thread(target=_accept, args=(server,), daemon=True).start()
        yield server.getsockname()[1]


def _accept(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_echo, args=(connection,), daemon=True).start()


def _echo(connection: socket.socket) -> None:
    with connection:
        try:
            while data := connection.recv(1 << 16):
                connection.sendall(data)
        except OSError:
            pass


@pytest.fixture
def link(echo: int) -> Iterator[Link]:
    with linked(echo) as link:
        yield link


def connect(link: Link) -> socket.socket:
    return socket.create_connection(("127.0.0.1", link.port), timeout=PATIENCE_S)


def everything(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def test_all_bytes_pass_in_order_also_through_a_slow_link(link: Link) -> None:
    link.bytes_per_s, link.delay_s = 20e6, 0.005
    data = bytes(range(256)) * 4000
    with connect(link) as client:
        sender = threading.Thread(
            target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR))
        )
        sender.start()
        assert everything(client) == data
        sender.join()
    assert link.up == link.down == len(data) and link.connections == 1


def test_a_reset_connection_is_an_error_and_the_next_one_works(link: Link) -> None:
    link.break_after(3, "reset")
    with connect(link) as client:
        client.sendall(b"abcdef")
        with pytest.raises(ConnectionResetError):
            everything(client)
    assert link.broken.wait(PATIENCE_S) and link.down == 3
    with connect(link) as client:
        client.sendall(b"again")
        assert client.recv(5) == b"again"


def test_a_half_closed_connection_ends_but_takes_what_is_sent(link: Link) -> None:
    link.break_after(3, "half_close")
    with connect(link) as client:
        client.sendall(b"abcdef")
        assert everything(client) == b"abc"
        client.sendall(b"x" * 100)
        assert client.recv(1) == b""


def test_a_stalled_connection_is_silent(link: Link) -> None:
    link.break_after(0, "stall")
    with connect(link) as client:
        client.sendall(b"abcdef")
        assert link.broken.wait(PATIENCE_S)
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_all_connections_can_be_hung_up(link: Link) -> None:
    with connect(link) as one, connect(link) as other:
        for client in (one, other):
            client.sendall(b"a")
            assert client.recv(1) == b"a"
        link.hang_up()
        for client in (one, other):
            with pytest.raises(ConnectionResetError):
                client.recv(1)


def test_connections_can_fall_silent_while_others_work(link: Link) -> None:
    with connect(link) as old:
        old.sendall(b"a")
        assert old.recv(1) == b"a"
        link.stall_all()
        old.sendall(b"b")
        with connect(link) as new:
            new.sendall(b"c")
            assert new.recv(1) == b"c"
        old.settimeout(0.05)
        with pytest.raises(TimeoutError):
            old.recv(1)


def test_a_link_to_nowhere_refuses() -> None:
    with closing(socket.socket()) as nobody:
        nobody.bind(("127.0.0.1", 0))  # so that nobody else listens there either
        port = nobody.getsockname()[1]
        with linked(port) as link, pytest.raises(ConnectionResetError):
            # The reset may even come while the client is still connecting.
            with connect(link) as client:
                client.recv(1)


def test_a_stopped_link_is_gone(echo: int) -> None:
    with linked(echo) as link, connect(link) as client:
        client.sendall(b"a")
        assert client.recv(1) == b"a"
    with pytest.raises(ConnectionRefusedError):
        connect(link)


def test_the_link_speaks_tls_to_the_client_and_plainly_to_the_server(echo: int) -> None:
    context = ssl.create_default_context(cafile=TLS / "authority.pem")
    with linked(echo, TLS / "server.pem") as link, connect(link) as plain:
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as client:
            client.sendall(b"secret")
            assert client.recv(6) == b"secret"
    assert link.url.startswith("https://127.0.0.1:")


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [("expired.pem", "expired"), ("other_host.pem", "mismatch|doesn't match")],
)
def test_a_certificate_is_wrong_in_the_way_that_its_name_says(
    echo: int, certificate: str, reason: str
) -> None:
    context = ssl.create_default_context(cafile=TLS / "authority.pem")
    with linked(echo, TLS / certificate) as link, connect(link) as plain:
        with pytest.raises(ssl.SSLCertVerificationError, match=reason):
            context.wrap_socket(plain, server_hostname="127.0.0.1")
