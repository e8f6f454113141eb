"""The real worker process and a real server: no ONNX Runtime, no waiting, and no token anywhere."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from inference_server import AUTHORITY, TLS, InferenceServer, inference_server
from phantom import GEOMETRIES, make_card, make_volume
from served_network import ServedNetwork
from server_faults import silent, status
from worker_conversation import DEADLINE_S, wait_for

from GDLACore.errors import ServerError
from GDLACore.imaging.volume import Volume
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import segment_volume
from GDLACore.remote import RemoteServer
from GDLACore.remote.opening import open_remote_engine
from GDLACore.worker import (
    Event,
    Failed,
    Finished,
    Loaded,
    ModelRequest,
    PreviewDone,
    Previewed,
    SlicesDone,
    Started,
    Stopped,
    WorkerClient,
)

CARD = make_card()
TOKEN = "secret-word"

_IMPOSTOR = 'raise ImportError("There is no ONNX Runtime here.")\n'


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerClient]:
    """A client whose worker has no ONNX Runtime."""
    folder = tmp_path_factory.mktemp("worker")
    packages = folder / "packages"
    (packages / "onnxruntime").mkdir(parents=True)
    (packages / "onnxruntime" / "__init__.py").write_text(_IMPOSTOR)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    client = WorkerClient(
        [sys.executable],
        folder=folder,
        packages=packages,
        environment=environment,
        cancel_s=DEADLINE_S,
    )
    yield client
    pid = client.pid
    client.close()
    assert TOKEN not in client.log(), "the token is in the log"
    if pid is not None:  # killed, it may take a moment to be gone
        wait_for(lambda: not Path(f"/proc/{pid}").exists())


@pytest.fixture
def server() -> Iterator[InferenceServer]:
    with inference_server(ServedNetwork(CARD), token=TOKEN) as server:
        yield server


def request_for(server: InferenceServer, **fields: object) -> ModelRequest:
    return ModelRequest(CARD.name, server=RemoteServer(server.url, token=TOKEN, **fields))


def poll_until(client: WorkerClient, *ends: type, while_waiting: Callable = lambda: None) -> list:
    events, timer = [], threading.Event()
    for _ in range(DEADLINE_S * 200):
        events += client.poll()
        while_waiting()
        if any(isinstance(event, (*ends, Failed)) for event in events):
            return events
        timer.wait(0.005)
    raise AssertionError(f"only this has happened: {events}\n{client.log()}")


def noise() -> Volume:
    volume = make_volume(GEOMETRIES["oblique"], (9, 30, 40))
    array = np.random.default_rng(5).integers(-300, 300, volume.shape).astype(np.int16)
    return Volume(array, volume.ijk_to_ras, "Jane Doe", "CT")


def last(events: list[Event], kind: type) -> Event:
    found = [event for event in events if isinstance(event, kind)]
    assert found, events
    return found[-1]


def test_a_volume_and_a_preview_are_segmented_by_a_worker_without_onnx_runtime(client, server):
    request = request_for(server)
    with open_remote_engine(request.model, request.server) as engine:
        expected = segment_volume(noise(), engine)
    assert len(np.unique(expected)) > 2
    client.segment(noise(), request, SegmentOptions(focus_slice=4))
    events = poll_until(client, Finished)
    labels = last(events, Started).labels
    np.testing.assert_array_equal(labels, expected)
    told = [index for one in events if isinstance(one, SlicesDone) for index in one.indices]
    assert sorted(told) == list(range(9))
    assert f"127.0.0.1:{server.port}" in last(events, Finished).device
    client.preview(noise(), request, [4, 0, 8], "smooth", key=1)
    shown = [one for one in poll_until(client, PreviewDone) if isinstance(one, Previewed)]
    assert sorted(one.index for one in shown) == [0, 4, 8]
    for one in shown:
        np.testing.assert_array_equal(one.labels, expected.take(one.index, one.axis))


def test_neither_names_nor_paths_travel_to_the_server(client, server):
    client.segment(noise(), request_for(server), SegmentOptions())
    last(poll_until(client, Finished), Finished)
    assert len(server.inferences) == 5
    for sent in server.requests:
        text = sent.path.encode() + repr(sent.headers).encode() + sent.body
        for secret in (b"Jane", b"Doe", b"GDLA-session", str(Path.home()).encode() + b"/"):
            assert secret not in text


def test_cancelling_does_not_wait_for_a_server_that_is_silent(client, server):
    client.segment(noise(), request_for(server), SegmentOptions())
    last(poll_until(client, Finished), Finished)  # it is loaded and warm
    pid = client.pid
    server.script = [silent] * 20
    job = client.segment(noise(), request_for(server), SegmentOptions())
    poll_until(client, Started)
    assert server.reached.wait(DEADLINE_S)
    client.cancel()
    assert last(poll_until(client, Stopped), Stopped) == Stopped(job)
    server.script.clear()
    client.segment(noise(), request_for(server), SegmentOptions())
    labels = last(events := poll_until(client, Finished), Started).labels
    last(events, Finished)
    assert labels.any()
    assert client.pid == pid, "the worker was replaced, and had to be loaded again"


def test_what_the_server_refuses_arrives_as_a_sentence_and_the_worker_goes_on(client, server):
    wrong = ModelRequest(CARD.name, server=RemoteServer(server.url, token="another-secret-word"))
    client.segment(noise(), wrong, SegmentOptions())
    error = last(poll_until(client, Failed), Failed).error
    assert isinstance(error, ServerError) and error.hint
    assert "127.0.0.1" in error.message and "secret" not in str(error)
    client.load(ModelRequest("liver-v1.5", server=request_for(server).server))
    error = last(poll_until(client, Failed), Failed).error
    assert "liver-v1.5" in error.message and CARD.name in error.hint
    server.script = [status(400)]
    client.segment(noise(), request_for(server), SegmentOptions())
    assert isinstance(last(poll_until(client, Failed), Failed).error, ServerError)
    client.load(request_for(server))
    assert last(poll_until(client, Loaded), Loaded).card == CARD


def test_a_fall_back_without_onnx_runtime_says_both_reasons(client):
    with socket.socket() as deaf:  # nobody else can get its port meanwhile
        deaf.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        gone = RemoteServer(url, token=TOKEN, fall_back=True)
        client.segment(noise(), ModelRequest("demo-ct", server=gone), SegmentOptions())
        error = last(poll_until(client, Failed), Failed).error
    assert "secret" not in str(error)
    assert "127.0.0.1" in str(error)


def test_a_server_is_known_by_its_certificate(client):
    with inference_server(
        ServedNetwork(CARD), certificate=TLS / "server.pem", token=TOKEN
    ) as server:
        client.load(request_for(server, ca_file=str(AUTHORITY)))
        last(poll_until(client, Loaded), Loaded)
        client.load(request_for(server))
        assert isinstance(last(poll_until(client, Failed), Failed).error, ServerError)
