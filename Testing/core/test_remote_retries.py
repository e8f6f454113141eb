"""What may succeed later is tried again, within bounds, and can be ended at any time."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import numpy as np
import pytest
from inference_server import inference_server
from onnx_networks import slices
from phantom import make_card
from remote_engines import remote_engine
from served_network import ServedNetwork
from server_faults import (
    cut,
    dripping,
    garbage,
    hang_up,
    held,
    silent,
    stalled,
    status,
    unmeasured,
)

from GDLACore.engine import load_engine
from GDLACore.errors import EngineError, ServerError
from GDLACore.remote import RemoteServer, client, connection
from GDLACore.remote.client import ServerClient
from GDLACore.remote.connection import Connection
from GDLACore.remote.engine import RemoteEngine

NETWORK = ServedNetwork(make_card())
SLICES = slices(1, 50, 60)
DEADLINE_S = 60

SYN_SENT = b"\x02"  # of Linux: asked for a connection, and not answered yet


class Clock:
    """The client's time, in seconds; it passes only as a test says."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(client, "time", clock)
    return clock


def wait_for_answers(engine: RemoteEngine, seconds: float, *, next_s: float) -> None:
    """Have ``engine`` wait ``next_s`` for its next answer, and ``seconds`` for those after it."""
    engine._client.server = replace(engine._client.server, timeout_s=seconds)
    ((idle, _),) = engine._client._idle
    idle._server = replace(idle._server, timeout_s=next_s)


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504])
def test_a_server_that_is_busy_for_a_moment_is_asked_again(code, clock):
    with remote_engine(NETWORK) as (engine, server):
        right = engine.predict(SLICES, "smooth")
        server.script = [status(code)] * 2
        np.testing.assert_array_equal(engine.predict(SLICES, "smooth"), right)
        assert len(server.inferences) == 4


@pytest.mark.parametrize("fault", [hang_up, cut, unmeasured])
def test_a_connection_that_breaks_is_made_anew(fault):
    with remote_engine(NETWORK) as (engine, server):
        right = engine.predict(SLICES, "smooth")
        server.script = [fault, fault]
        np.testing.assert_array_equal(engine.predict(SLICES, "smooth"), right)
        assert len(server.inferences) == 4


@pytest.mark.parametrize("fault", [silent, stalled, dripping])
def test_a_server_that_falls_silent_is_asked_once_more(fault):
    with remote_engine(NETWORK) as (engine, server):
        wait_for_answers(engine, DEADLINE_S, next_s=0.2)
        server.script = [fault]
        assert engine.predict(SLICES, "smooth").shape == (1, 50, 60)
        wait_for_answers(engine, 0.2, next_s=0.2)
        server.script = [fault] * 9
        with pytest.raises(ServerError, match="did not answer within 0.2 s") as caught:
            engine.predict(SLICES, "smooth")
        assert len(server.script) >= 6 and "try again later" in caught.value.hint


def test_a_server_that_stays_busy_is_given_up(clock):
    def busy(handler, reply) -> None:
        clock.now += 12
        status(503, "queue is full")(handler, reply)

    with remote_engine(NETWORK, timeout_s=30) as (engine, server):
        server.script = [busy] * 20
        with pytest.raises(ServerError, match="503 Service Unavailable: queue is full"):
            engine.predict(SLICES, "smooth")
        assert len(server.inferences) == 4


def test_a_server_that_asks_for_a_longer_pause_than_anyone_waits_is_given_up_at_once():
    with remote_engine(NETWORK) as (engine, server):
        server.script = [status(503, Retry_After="3600")] * 2
        with pytest.raises(ServerError, match="cannot do its work now"):
            engine.predict(SLICES, "smooth")
        assert len(server.inferences) == 1


def test_a_server_that_fails_is_not_waited_for_as_long_as_one_that_is_busy():
    with remote_engine(NETWORK) as (engine, server):
        server.script = [status(500, Retry_After="3")]
        with pytest.raises(ServerError, match="failed .500 Internal Server Error: no"):
            engine.predict(SLICES, "smooth")
        assert len(server.inferences) == 1


def test_what_is_no_web_server_is_not_asked_again():
    with remote_engine(NETWORK) as (engine, server):
        server.script = [garbage] * 3
        with pytest.raises(ServerError, match="is not a web server"):
            engine.predict(SLICES, "smooth")
        assert len(server.script) == 2


def test_a_connection_that_the_server_has_closed_meanwhile_is_not_used():
    with remote_engine(NETWORK) as (engine, server):
        right = engine.predict(SLICES, "smooth")
        server.hang_up()
        np.testing.assert_array_equal(engine.predict(SLICES, "smooth"), right)
        assert len(server.inferences) == 2


def test_a_server_that_comes_back_goes_on_with_the_volume():
    several = slices(6, 50, 60)
    with inference_server(NETWORK) as first:
        engine = load_engine("abdomen", server=RemoteServer(first.url))
        right = engine.predict(several, "smooth")
    with engine, ThreadPoolExecutor(1) as pool:
        labels = pool.submit(engine.predict, several, "smooth")
        with inference_server(NETWORK, port=first.port):
            np.testing.assert_array_equal(labels.result(DEADLINE_S), right)


def test_a_model_that_is_not_loaded_yet_when_its_server_is_back_is_waited_for():
    served = ServedNetwork(make_card())
    with remote_engine(served) as (engine, server):
        right = engine.predict(SLICES, "smooth")
        served.state = "LOADING"
        server.hang_up()

        class Loads(list):
            def append(self, request) -> None:
                super().append(request)
                if len(self) == count + 2:
                    served.state = "READY"

        count = len(server.requests)
        server.requests = Loads(server.requests)
        np.testing.assert_array_equal(engine.predict(SLICES, "smooth"), right)


@pytest.mark.parametrize("fault", [silent, stalled, held])
def test_closing_ends_a_request_that_waits(fault):
    patient = remote_engine(NETWORK, timeout_s=2 * DEADLINE_S)
    with patient as (engine, server), ThreadPoolExecutor(1) as pool:
        server.script = [fault]
        waiting = pool.submit(engine.predict, SLICES, "smooth")
        assert server.reached.wait(DEADLINE_S)
        engine.close()
        with pytest.raises(EngineError, match="has been closed"):
            waiting.result(DEADLINE_S)


def test_closing_ends_the_pause_before_another_try():
    patient = remote_engine(NETWORK, timeout_s=2 * DEADLINE_S)
    with patient as (engine, server), ThreadPoolExecutor(1) as pool:
        asked = threading.Event()

        def busy(handler, reply) -> None:
            status(503, Retry_After="90")(handler, reply)
            asked.set()

        server.script = [busy]
        waiting = pool.submit(engine.predict, SLICES, "smooth")
        assert asked.wait(DEADLINE_S)
        engine.close()
        with pytest.raises(EngineError, match="has been closed"):
            waiting.result(DEADLINE_S)


@pytest.mark.skipif(sys.platform != "linux", reason="tells nobody how far a connection is")
def test_closing_ends_a_connection_that_does_not_come_about(monkeypatch):
    monkeypatch.setattr(connection, "_LONGEST_CONNECTING_S", 2 * DEADLINE_S)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        with _full_queue(address):
            server = RemoteServer(f"http://127.0.0.1:{address[1]}", timeout_s=2 * DEADLINE_S)
            caller = ServerClient(server)
            with ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(caller.ask, "GET", "")
                while not any(_is_connecting(one) for one in tuple(caller._busy)):
                    assert not waiting.done()
                caller.close()
                with pytest.raises(EngineError, match="has been closed"):
                    waiting.result(DEADLINE_S)


def test_a_server_that_is_not_there_is_told_soon():
    with socket.socket() as deaf:  # nobody else can get its port meanwhile
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        with pytest.raises(ServerError, match="cannot be reached") as caught:
            load_engine("abdomen", server=RemoteServer(f"http://127.0.0.1:{port}"))
    assert f"127.0.0.1:{port}" in caught.value.message and "running" in caught.value.hint


def _is_connecting(one: Connection) -> bool:
    wire = one._wire
    return wire is not None and wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == SYN_SENT


@contextmanager
def _full_queue(address: tuple[str, int]) -> Iterator[None]:
    """Fill the queue of a listener, which then lets nobody in."""
    with ExitStack() as callers:
        for _ in range(4):
            caller = callers.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(address)
        yield
