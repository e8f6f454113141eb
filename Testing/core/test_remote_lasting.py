"""How long a connection lasts, and that it is never made anew without TLS."""

from __future__ import annotations

import logging
import select
import socket
from http.client import NotConnected
from types import SimpleNamespace

import numpy as np
import pytest
from inference_server import AUTHORITY, TLS, Handler, InferenceServer, inference_server
from onnx_networks import slices
from phantom import make_card
from remote_engines import remote_engine
from served_network import ServedNetwork

from GDLACore.engine import load_engine
from GDLACore.errors import ServerError
from GDLACore.remote import RemoteServer, check_server, client
from GDLACore.remote.connection import Connection, trusted_certificates

NETWORK = ServedNetwork(make_card())
SLICES = slices(1, 50, 60)
SERVER = TLS / "server.pem"

HANDSHAKE = b"\x16"  # the first byte of whoever speaks TLS


def first_bytes(server: InferenceServer, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return a list of what every connection to ``server`` will begin with."""
    seen = []
    accepted = server.process_request

    def process_request(wire: socket.socket, address: object) -> None:
        seen.append(socket.socket.recv(wire, 1, socket.MSG_PEEK))
        accepted(wire, address)

    monkeypatch.setattr(server, "process_request", process_request)
    return seen


@pytest.mark.parametrize(("certificate", "first"), [(None, {b"G", b"P"}), (SERVER, {HANDSHAKE})])
def test_a_server_that_hangs_up_after_every_answer_can_be_used(monkeypatch, certificate, first):
    with remote_engine(NETWORK) as (engine, _):
        right = engine.predict(SLICES, "smooth")
    monkeypatch.setattr(Handler, "protocol_version", "HTTP/1.0")
    with inference_server(NETWORK, certificate=certificate, token="t0ken") as server:
        seen = first_bytes(server, monkeypatch)
        authority = certificate and str(AUTHORITY)
        address = RemoteServer(server.url, token="t0ken", ca_file=authority)
        (model,) = check_server(address).models
        assert model.ready
        with load_engine("abdomen", server=address) as engine:
            for _ in range(2):
                np.testing.assert_array_equal(engine.predict(SLICES, "smooth"), right)
        assert len(server.inferences) == 2  # none of which had to be repeated
        assert len(seen) == len(server.requests) and set(seen) <= first


def test_a_refusal_with_which_the_server_hangs_up_ends_nothing(monkeypatch):
    monkeypatch.setattr(Handler, "protocol_version", "HTTP/1.0")
    with inference_server(NETWORK) as server:
        server.general["/v2/models/abdomen/config"] = 404  # as of KServe and OpenVINO
        with pytest.raises(ServerError, match="does not tell what its model abdomen is"):
            load_engine("abdomen", server=RemoteServer(server.url))


def test_http_never_connects_by_itself_for_it_knows_nothing_of_tls():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        server = RemoteServer(url, token="t0ken", ca_file=str(AUTHORITY))
        connection = Connection(server, trusted_certificates(server))
        with pytest.raises(NotConnected):
            connection._http.request("GET", "/v2", headers={"Authorization": "Bearer t0ken"})
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_connection_that_the_server_has_closed_is_seen_before_anything_is_sent(caplog):
    with remote_engine(NETWORK) as (engine, server), caplog.at_level(logging.INFO):
        engine.predict(SLICES, "smooth")
        ((connection, _),) = engine._client._idle
        server.hang_up()
        assert select.select([connection._http.sock], [], [], 60)[0]
        assert not connection.is_idle
        engine.predict(SLICES, "smooth")
    assert caplog.records == []  # nothing had to be tried again


def test_a_connection_that_rested_for_long_is_not_trusted(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(client, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with remote_engine(NETWORK) as (engine, server):
        seen = first_bytes(server, monkeypatch)
        engine.predict(SLICES, "smooth")
        before = len(seen)
        for seconds, new in ((15, 0), (25, 1)):
            now[0] += seconds
            engine.predict(SLICES, "smooth")
            assert len(seen) - before == new
