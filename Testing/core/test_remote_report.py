"""What a server is found to be and to have, before anyone relies on it."""

from __future__ import annotations

import dataclasses
import time

import pytest
from inference_server import AUTHORITY, TLS, inference_server
from phantom import make_card
from served_network import ServedNetwork

from GDLACore.errors import ServerError
from GDLACore.model.catalogue import find
from GDLACore.remote import RemoteServer, ServedModel, check_server

CARD = make_card()


def test_a_server_tells_its_program_its_pace_and_its_models():
    lungs = dataclasses.replace(CARD, name="lungs")
    broken = ServedNetwork(
        dataclasses.replace(CARD, name="broken"), state="UNAVAILABLE", reason="no\nmemory."
    )
    with inference_server(ServedNetwork(CARD), ServedNetwork(lungs, version="3"), broken) as server:
        begin = time.perf_counter()
        report = check_server(RemoteServer(server.url))
        elapsed = time.perf_counter() - begin
        assert (report.name, report.version) == ("Triton", "2.51.0")
        assert 0 < report.latency_s < elapsed
        assert report.models == (
            ServedModel("abdomen", "1", True, CARD, ""),
            ServedModel("lungs", "3", True, lungs, ""),
            ServedModel("broken", "1", False, None, "It is not ready: no memory."),
        )
        assert server.inferences == []


def test_models_of_others_and_models_that_do_not_fit_are_told_with_what_is_wrong():
    synapse = find("synapse").card
    networks = (
        ServedNetwork(CARD, tells_card=False),
        ServedNetwork(dataclasses.replace(CARD, name="odd"), metadata={"inputs": []}),
        ServedNetwork(dataclasses.replace(synapse, version="9")),
    )
    with inference_server(*networks) as server:
        foreign, odd, other = check_server(RemoteServer(server.url)).models
    assert not any(model.ready for model in (foreign, odd, other))
    assert foreign.card is None and "does not tell what it is" in foreign.problem
    assert "has no input image" in odd.problem
    assert other.card is not None and "version is 9 instead of 1.0" in other.problem


def test_a_server_that_lists_nothing_is_searched_for_the_models_that_are_known():
    with inference_server(ServedNetwork(find("synapse").card), ServedNetwork(CARD)) as server:
        server.general["/v2/repository/index"] = 404
        (model,) = check_server(RemoteServer(server.url)).models
        assert (model.name, model.version, model.ready) == ("synapse", "1", True)


def test_a_server_without_models_has_none():
    with inference_server() as server:
        assert check_server(RemoteServer(server.url)).models == ()


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("/v2", 404, "does not speak the Open Inference Protocol"),
        ("/v2", 401, "does not work for everyone"),
        ("/v2", 503, "cannot do its work now"),
        ("/v2/repository/index", 403, "does not work for everyone"),
        ("/v2/repository/index", 500, "failed"),
    ],
)
def test_a_server_that_cannot_be_used_is_told_after_one_attempt(path, code, words):
    with inference_server(ServedNetwork(CARD)) as server:
        server.general[path] = code
        with pytest.raises(ServerError, match=words) as caught:
            check_server(RemoteServer(server.url))
        assert f"127.0.0.1:{server.port}" in caught.value.message and caught.value.hint
        assert [one.path for one in server.requests].count(path) == 1


def test_a_secure_server_with_a_token_is_checked_like_any_other():
    certificate = TLS / "server.pem"
    with inference_server(ServedNetwork(CARD), certificate=certificate, token="t0ken") as server:
        secure = RemoteServer(server.url, token="t0ken", ca_file=str(AUTHORITY))
        assert [model.name for model in check_server(secure).models] == ["abdomen"]
        with pytest.raises(ServerError, match="does not accept the token") as caught:
            check_server(dataclasses.replace(secure, token="0ther"))
        assert "0ther" not in str(caught.value)
