"""A server that answers wrongly amid a volume: what the user is told, and that no slice is wrong.

What each single wrong answer does to the client is tested in Testing/core.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from department import Seen, patient, segmented
from inference_server import InferenceServer, inference_server, whole
from served_network import Reply, ServedNetwork, bright
from server_faults import altered, status

from GDLACore.errors import ServerError
from GDLACore.model.card import ModelCard
from GDLACore.remote import RemoteServer
from GDLACore.weights.identified import load_identified

PATIENT = patient(2)


@pytest.fixture(scope="module")
def card(tiny_model: Path) -> ModelCard:
    """What a server tells of the model, with the hash of its weights."""
    return load_identified(tiny_model, None).card


@pytest.fixture
def server(card: ModelCard) -> Iterator[InferenceServer]:
    with inference_server(ServedNetwork(card)) as server:
        yield server


@pytest.fixture(scope="module")
def right(tiny_model: Path, card: ModelCard) -> Seen:
    """What comes of PATIENT when nothing goes wrong."""
    with inference_server(ServedNetwork(card)) as server:
        seen = segmented(PATIENT, tiny_model, RemoteServer(server.url))
    assert seen.sentence == "nothing" and len(np.unique(seen.labels)) > 2
    return seen


def nan(reply: Reply) -> None:
    reply.outputs["finite"][0] = 0


def smaller(reply: Reply) -> None:
    reply.outputs["labels"] = reply.outputs["labels"][:, :-1]


def fewer(reply: Reply) -> None:
    reply.outputs["labels"] = reply.outputs["labels"][:0]


def wider(reply: Reply) -> None:
    reply.outputs["labels"] = reply.outputs["labels"].astype(np.int64)


def unknown_structure(reply: Reply) -> None:
    reply.outputs["labels"][0, 0, 0] = 4


def other_version(reply: Reply) -> None:
    reply.head["model_version"] = "2"


def other_model(reply: Reply) -> None:
    reply.head["model_name"] = "thorax"


def other_request(reply: Reply) -> None:
    reply.head["id"] = "another-laptop"


def assert_told(seen: Seen, right: Seen, server: InferenceServer) -> None:
    assert isinstance(seen.error, ServerError), seen.sentence
    assert f"127.0.0.1:{server.port}" in seen.error.message and seen.error.hint
    assert "\n" not in seen.sentence
    assert len(seen.slices) < len(right.slices)
    if came := list(seen.slices):
        np.testing.assert_array_equal(seen.labels[came], right.labels[came])


@pytest.mark.parametrize(
    "change",
    [nan, smaller, fewer, wider, unknown_structure, other_version, other_model, other_request],
    ids=lambda change: change.__name__,
)
def test_a_wrong_answer_amid_a_volume_ends_it_with_a_sentence_and_no_wrong_slice(
    tiny_model: Path, server: InferenceServer, right: Seen, change: Callable[[Reply], object]
) -> None:
    server.script = [*[whole] * 6, altered(change)]
    seen = segmented(PATIENT, tiny_model, RemoteServer(server.url))
    assert_told(seen, right, server)


@pytest.mark.parametrize("change", [nan, other_version], ids=lambda change: change.__name__)
def test_a_wrong_answer_is_no_reason_for_this_computer_to_go_on(
    tiny_model: Path, server: InferenceServer, right: Seen, change: Callable[[Reply], object]
) -> None:
    server.script = [*[whole] * 6, altered(change)]
    seen = segmented(PATIENT, tiny_model, RemoteServer(server.url, fall_back=True))
    assert_told(seen, right, server)


def test_a_server_that_is_busy_for_a_while_only_takes_longer(
    tiny_model: Path, server: InferenceServer, right: Seen
) -> None:
    server.script = [whole, *[status(503)] * 5, whole, status(503)]
    seen = segmented(PATIENT, tiny_model, RemoteServer(server.url))
    assert seen.sentence == "nothing"
    assert seen.checksum == right.checksum


def test_a_server_that_stays_busy_is_told(
    tiny_model: Path, server: InferenceServer, right: Seen
) -> None:
    server.script = [whole] * 4 + [status(503)] * 10_000
    seen = segmented(PATIENT, tiny_model, RemoteServer(server.url, timeout_s=1.0))
    assert_told(seen, right, server)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 500])
def test_a_refusal_is_told_and_not_asked_for_without_end(
    tiny_model: Path, server: InferenceServer, right: Seen, code: int
) -> None:
    server.script = [whole] * 4 + [status(code)] * 10_000
    seen = segmented(PATIENT, tiny_model, RemoteServer(server.url, token="secret"))
    assert_told(seen, right, server)
    assert "secret" not in seen.sentence
    assert len(server.inferences) < 200


def test_a_model_that_is_taken_away_amid_a_volume_is_told(
    tiny_model: Path, server: InferenceServer, right: Seen
) -> None:
    seen = segmented(PATIENT, tiny_model, RemoteServer(server.url), server.networks.clear)
    assert_told(seen, right, server)


def test_a_server_that_lacks_the_model_is_told_with_what_it_has(
    tiny_model: Path, card: ModelCard, right: Seen
) -> None:
    other = dataclasses.replace(card, name="thorax")
    with inference_server(ServedNetwork(other)) as server:
        seen = segmented(PATIENT, tiny_model, RemoteServer(server.url))
        assert_told(seen, right, server)
    assert "abdomen" in seen.sentence and "thorax" in seen.sentence


def test_a_model_of_other_structures_under_the_same_name_is_told(
    tiny_model: Path, card: ModelCard, right: Seen
) -> None:
    swapped = [
        dataclasses.replace(label, value=value)
        for value, label in enumerate(reversed(card.labels), start=1)
    ]
    other = dataclasses.replace(card, labels=tuple(swapped))
    with inference_server(ServedNetwork(other)) as server:
        seen = segmented(PATIENT, tiny_model, RemoteServer(server.url))
        assert_told(seen, right, server)
    assert not seen.slices


def test_a_server_that_comes_back_with_other_weights_gets_no_slice_into_the_volume(
    tiny_model: Path, card: ModelCard, right: Seen
) -> None:
    with inference_server(ServedNetwork(card)) as server:

        def retrained() -> None:
            other = dataclasses.replace(card, sha256="f" * 64)
            server.networks[card.name] = ServedNetwork(other, logits=lambda i: bright(-i))
            server.hang_up()

        seen = segmented(PATIENT, tiny_model, RemoteServer(server.url), retrained)
        assert_told(seen, right, server)
    assert seen.slices and "another model" in seen.sentence
