"""Going on on this computer: where it is allowed, once, with everything, and not in silence."""

from __future__ import annotations

import dataclasses
import logging
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from inference_server import inference_server, whole
from model_files import CARD, recipe, write_checkpoint, write_safetensors
from onnx_networks import slices
from served_network import ServedNetwork
from server_faults import altered, hang_up, silent, status

from GDLACore.engine import load_engine
from GDLACore.errors import EngineError, ServerError
from GDLACore.remote import RemoteServer
from GDLACore.weights.safetensors_file import weights_sha256

SERVED = dataclasses.replace(CARD, sha256=weights_sha256(sorted(recipe().items())))
SLICES = slices(6, 50, 60)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_safetensors(tmp_path_factory.mktemp("model") / "model.safetensors", recipe())


@pytest.fixture(scope="module")
def network(model: Path) -> Iterator[ServedNetwork]:
    """The model's own network, on the server."""
    with load_engine(model, device="cpu", threads=1) as local:
        yield ServedNetwork(SERVED, local.logits)


# For longer than anybody tries again: the first of them is a failure.
UNAVAILABLE = status(503, Retry_After="3600")


def opened(url: str, model: object, timeout_s: float = 60.0) -> object:
    server = RemoteServer(url, timeout_s=timeout_s, fall_back=True)
    return load_engine(model, device="cpu", threads=1, server=server)


@pytest.fixture
def nowhere() -> Iterator[str]:
    """Return an address at which nobody answers, and which nobody else can take meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


def test_a_server_that_fails_amid_a_volume_leaves_a_complete_result(model, network, caplog):
    with load_engine(model, device="cpu", threads=1) as local:
        right = local.predict(SLICES, "smooth")
    with inference_server(network) as server, opened(server.url, model) as engine:
        assert engine.describe().startswith("server ") and engine.in_flight > 1
        server.script = [whole] * 2 + [UNAVAILABLE] * 1000
        labels = np.concatenate([engine.predict(one[None], "smooth") for one in SLICES])
        assert (labels == right).mean() > 0.999
        assert engine.describe() == "the server failed: running on CPU (1 thread)"
        assert engine.in_flight == 1 and engine.batch_size == 1
        assert engine.card.sha256 == SERVED.sha256
        (warning,) = warnings(caplog)
        assert "503" in warning and "Going on on this computer (CPU (1 thread))." in warning


def test_eight_threads_fall_back_together_once(model, network, caplog):
    with inference_server(network) as server, opened(server.url, model, 0.3) as engine:
        server.script = [hang_up, silent] * 500
        with ThreadPoolExecutor(8) as pool:
            labels = list(pool.map(lambda one: engine.predict(one[None], "smooth"), SLICES))
        assert len(warnings(caplog)) == 1
        several = engine.predict(SLICES, "smooth")
        np.testing.assert_array_equal(np.concatenate(labels), several)


def test_a_server_that_is_not_there_is_gone_without_from_the_start(model, nowhere, caplog):
    with opened(nowhere, model) as engine:
        labels, confidence = engine.predict_with_confidence(SLICES[:1], "smooth")
        assert labels.any() and confidence.dtype == np.float16
        assert engine.scores(SLICES[:1]).shape == (1, 4, 64, 64)
        engine.warm_up()
        assert engine.describe().startswith("the server failed: running on CPU")
    assert len(warnings(caplog)) == 1
    with pytest.raises(EngineError, match="has been closed"):
        engine.predict(SLICES, "smooth")


def test_a_card_given_since_feeds_the_local_engine_too(model, network):
    with inference_server(network) as server, opened(server.url, model) as engine:
        engine.use_card(dataclasses.replace(engine.card, title="Belly"))
        server.script = [UNAVAILABLE] * 1000
        engine.predict(SLICES[:1], "smooth")
        assert engine.card.title == "Belly"


def test_a_model_file_replaced_since_is_not_gone_on_with(network, tmp_path, caplog):
    path = write_safetensors(tmp_path / "model.safetensors", recipe())
    with inference_server(network) as server, opened(server.url, path) as engine:
        path.unlink()
        write_safetensors(path, {name: tensor * 2 for name, tensor in recipe().items()})
        server.script = [UNAVAILABLE] * 1000
        with pytest.raises(ServerError, match="503") as caught:
            engine.predict(SLICES[:1], "smooth")
    assert "The model here is not the server's any more" in caught.value.hint
    assert warnings(caplog) == []


def test_what_goes_on_here_tells_which_weights_it_has(nowhere, tmp_path):
    unnamed = dataclasses.replace(CARD, sha256=None)
    path = write_checkpoint(tmp_path / "model.ckpt", recipe(), unnamed)
    with opened(nowhere, path) as engine:
        assert engine.card.sha256 == SERVED.sha256


def nan(reply) -> None:
    reply.outputs["finite"][:] = 0


def other_version(reply) -> None:
    reply.head["model_version"] = "2"


@pytest.mark.parametrize("change", [nan, other_version])
def test_a_wrong_answer_is_an_error_and_no_reason_to_go_on(model, network, change, caplog):
    with inference_server(network) as server, opened(server.url, model) as engine:
        server.script = [altered(change)]
        with pytest.raises(ServerError, match=r"not finite|another version"):
            engine.predict(SLICES[:1], "smooth")
        assert engine.describe().startswith("server ") and warnings(caplog) == []


def test_another_model_on_the_server_is_an_error_and_no_reason_to_go_on(model, caplog):
    with inference_server(ServedNetwork(dataclasses.replace(SERVED, version="9"))) as server:
        with pytest.raises(ServerError, match="version is 9"):
            opened(server.url, model)
    assert warnings(caplog) == []


def test_where_this_computer_cannot_go_on_both_reasons_are_told(nowhere):
    with pytest.raises(ServerError, match="cannot be reached") as caught:
        opened(nowhere, "synapse")
    assert "The checkpoint of synapse is not on this computer" in caught.value.hint


def test_a_model_that_only_the_server_has_fails_with_the_server_in_every_thread(network):
    with inference_server(network) as server, opened(server.url, "abdomen") as engine:
        server.script = [UNAVAILABLE] * 1000
        with ThreadPoolExecutor(4) as pool:
            waiting = [pool.submit(engine.predict, SLICES[:1], "smooth") for _ in range(4)]
            for one in waiting:
                with pytest.raises(ServerError, match="503"):
                    one.result(60)


def asks_to_come_back(handler, reply) -> None:
    handler.server.reached.set()
    status(503)(handler, reply)


def test_closing_ends_a_request_that_waits_and_loads_nothing(model, network, caplog):
    with inference_server(network) as server, ThreadPoolExecutor(1) as pool:
        engine = opened(server.url, model)
        server.script = [asks_to_come_back] * 10_000
        waiting = pool.submit(engine.predict, SLICES[:1], "smooth")
        assert server.reached.wait(60)
        engine.close()
        with pytest.raises(EngineError, match="has been closed"):
            waiting.result(30)
    assert warnings(caplog) == []


def test_without_leave_a_server_that_fails_is_an_error(model, nowhere):
    with pytest.raises(ServerError, match="cannot be reached"):
        load_engine(model, device="cpu", server=RemoteServer(nowhere))
