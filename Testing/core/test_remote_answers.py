"""Whatever a server says wrongly is noticed, told in a sentence, and used for nothing."""

from __future__ import annotations

import dataclasses
import gzip
import json
from collections.abc import Callable

import numpy as np
import pytest
from onnx_networks import slices
from phantom import make_card
from remote_engines import remote_engine
from served_network import HEAD_LENGTH, Reply, ServedNetwork, bright
from server_faults import altered, body, status

from GDLACore.errors import ServerError
from GDLACore.remote.troubles import WrongAnswer

CARD = make_card()
SLICES = slices(2, 50, 60)


def refusal(behaviour: object, ask: str = "predict_with_confidence") -> ServerError:
    """Return what is told of a server that answers so once, and rightly afterwards."""
    with remote_engine(ServedNetwork(CARD)) as (engine, server):
        server.script = [behaviour]
        with pytest.raises(ServerError) as caught:
            getattr(engine, ask)(SLICES, *(["smooth"] if ask != "scores" else []))
        assert server.script == [] and len(server.inferences) == 1  # it was not asked again
        error = caught.value
        assert f"127.0.0.1:{server.port}" in error.message
        # Nor does it spoil what comes after.
        engine.predict(SLICES, "smooth")
    assert error.message.endswith(".") and error.hint.endswith(".")
    assert str(error).isprintable() and len(str(error)) < 500
    return error


def set_head(**values: object) -> Callable[[Reply], None]:
    return lambda reply: reply.head.update(values)


def make(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Reply], None]:
    def altered_output(reply: Reply) -> None:
        reply.outputs[name] = change(reply.outputs[name].copy())

    return altered_output


def with_value(value: object) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array.flat[array.size // 2] = value
        return array

    return change


def drop(name: str) -> Callable[[Reply], None]:
    return lambda reply: reply.outputs.pop(name)


def add(reply: Reply) -> None:
    reply.outputs["more"] = np.zeros((2, 1), np.uint8)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_head(model_name="thorax"), "of another model"),
        (set_head(model_version="2"), "of another version of the model abdomen"),
        (set_head(model_version=1), "of another version"),
        (set_head(id="0"), "to another question"),
        (set_head(id=None), "to another question"),
        (make("labels", lambda a: a[:1]), "labels in another type or shape"),
        (make("labels", lambda a: a[:, :-1]), "labels in another type or shape"),
        (make("labels", lambda a: a.swapaxes(1, 2)), "labels in another type or shape"),
        (make("labels", lambda a: a.astype(np.uint16)), "labels in another type or shape"),
        (make("margin", lambda a: a.astype(np.float32)), "margin in another type or shape"),
        (make("labels", with_value(4)), "cannot have"),
        (make("labels", with_value(255)), "cannot have"),
        (make("margin", with_value(np.nan)), "cannot have"),
        (make("margin", with_value(-0.5)), "cannot have"),
        (make("margin", with_value(2)), "cannot have"),
        (make("finite", with_value(0)), "not finite numbers"),
        (make("finite", with_value(7)), "not finite numbers"),
        (make("weights", with_value(7)), "another model abdomen than it should"),
        (make("weights", lambda a: a[:, :31]), "weights in another type or shape"),
        (drop("weights"), "the outputs that it was asked for"),
        (drop("finite"), "the outputs that it was asked for"),
        (drop("labels"), "the outputs that it was asked for"),
        (add, "the outputs that it was asked for"),
    ],
)
def test_an_answer_that_is_not_the_right_one_is_refused(change, words):
    error = refusal(altered(change))
    assert isinstance(error, WrongAnswer) and words in error.message


def test_logits_that_are_no_numbers_are_refused_even_if_the_server_does_not_see_it():
    error = refusal(altered(make("logits", with_value(np.nan))), "scores")
    assert "cannot have" in error.message


def test_a_network_whose_results_are_no_numbers_is_an_error_of_the_whole_volume():
    def broken(images: np.ndarray) -> np.ndarray:
        logits = bright(images)
        logits[-1, 2, 5, 5] = np.inf
        return logits

    with remote_engine(ServedNetwork(CARD, broken)) as (engine, _):
        with pytest.raises(WrongAnswer, match="not finite numbers"):
            engine.predict(SLICES, "published")


RIGHT = json.dumps({"model_name": "abdomen", "model_version": "1", "id": "x", "outputs": []})


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"<!DOCTYPE html><title>Log in</title>", {}),
        (b"", {}),
        (b"{}", {}),
        (RIGHT.encode(), {}),
        (RIGHT.encode(), {HEAD_LENGTH: "x"}),
        (RIGHT.encode(), {HEAD_LENGTH: "-1"}),
        (RIGHT.encode(), {HEAD_LENGTH: "99999999999999999999"}),
        (b"[" * 50_000, {HEAD_LENGTH: "50000"}),
        (b"\xff\xfe", {HEAD_LENGTH: "2"}),
        (b"[]", {HEAD_LENGTH: "2"}),
        (b"{}", {HEAD_LENGTH: "2", "Content-Encoding": "br"}),
        (b"{}", {HEAD_LENGTH: "0" * 5000}),
        (b"{}", {HEAD_LENGTH: "2", "Content-Encoding": "gzip"}),
        (gzip.compress(bytes(50 << 20), 1), {"Content-Encoding": "gzip"}),
        (bytes(1 << 20), {}),
    ],
)
def test_what_is_no_answer_of_a_server_of_models_is_refused(content, headers):
    assert isinstance(refusal(body(content, **headers)), WrongAnswer)


@pytest.mark.parametrize("damaged", [lambda packed: packed[:-4], lambda packed: packed + b"more"])
def test_a_packed_answer_that_does_not_end_where_it_should_is_refused(damaged):
    packed = damaged(gzip.compress(b"{}"))
    error = refusal(body(packed, **{HEAD_LENGTH: "2", "Content-Encoding": "gzip"}))
    assert isinstance(error, WrongAnswer) and "is damaged: it is cut" in error.message


def outputs(change: Callable[[list], object]) -> Callable:
    """Answer rightly, but for what the head says of the outputs."""

    def behave(handler, reply) -> None:
        right = reply()
        listed = [
            {
                "name": name,
                "datatype": {"uint8": "UINT8", "float16": "FP16"}[array.dtype.name],
                "shape": list(array.shape),
                "parameters": {"binary_data_size": array.nbytes},
            }
            for name, array in right.outputs.items()
        ]
        change(listed)
        text = json.dumps(right.head | {"outputs": listed}).encode()
        content = text + b"".join(array.tobytes() for array in right.outputs.values())
        handler.send_body(200, content, {HEAD_LENGTH: str(len(text))})

    return behave


@pytest.mark.parametrize(
    "change",
    [
        lambda listed: listed.clear(),
        lambda listed: listed.reverse() or listed[0].pop("name"),
        lambda listed: listed.__setitem__(0, "labels"),
        lambda listed: listed.__setitem__(1, listed[0]),
        lambda listed: listed[0].update(name=["labels"]),
        lambda listed: listed[0].update(shape="2,50,60"),
        lambda listed: listed[0].update(shape=[2, 50, 61]),
        lambda listed: listed[0].update(datatype="INT8"),
        lambda listed: listed[0].pop("parameters"),
        lambda listed: listed[0].update(parameters={"binary_data_size": 5}),
        lambda listed: listed[0].update(parameters={"binary_data_size": 10**12}),
    ],
)
def test_a_head_that_does_not_fit_its_data_is_refused(change):
    assert isinstance(refusal(outputs(change)), WrongAnswer)


def test_outputs_may_come_in_any_order():
    def reversed_outputs(reply: Reply) -> None:
        reply.outputs = dict(reversed(reply.outputs.items()))

    with remote_engine(ServedNetwork(CARD)) as (engine, server):
        right = engine.predict(SLICES, "smooth")
        server.script = [altered(reversed_outputs)]
        np.testing.assert_array_equal(engine.predict(SLICES, "smooth"), right)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (400, "refuses what it was asked (400 Bad Request: tensor"),
        (401, "does not work for everyone"),
        (403, "does not work for everyone"),
        (404, "refuses what it was asked"),
        (302, "leads elsewhere"),
        (413, "does not take requests as large as a slice"),
        (418, "(418"),
        (204, "(204"),
    ],
)
def test_a_refusal_is_told_at_once_with_the_servers_own_words(code, words):
    error = refusal(status(code, "tensor \\u0007 too\\nlong." + "x" * 3000))
    assert words in error.message and (code == 204 or "tensor too long" in error.message)


def test_a_token_that_a_gateway_repeats_is_not_shown():
    with remote_engine(ServedNetwork(CARD), token="t0ken-9") as (engine, server):
        server.script = [status(403, "Bearer t0ken-9 is unknown")]
        with pytest.raises(ServerError, match="does not accept the token") as caught:
            engine.predict(SLICES, "smooth")
        assert "t0ken-9" not in str(caught.value)


def test_a_server_with_a_token_works_for_who_has_it():
    with remote_engine(ServedNetwork(CARD), token="t0ken-9") as (engine, server):
        server.token = "t0ken-9"
        engine.predict(SLICES, "smooth")
        server.token = "changed"
        with pytest.raises(ServerError, match="does not accept the token"):
            engine.predict(SLICES, "smooth")


def test_another_use_of_the_same_weights_is_noticed_on_a_connection_that_is_kept():
    served = ServedNetwork(CARD)
    with remote_engine(served) as (engine, server):
        engine.predict(SLICES, "smooth")
        told = len(server.requests)
        served.card = dataclasses.replace(CARD, resampling="antialias")
        with pytest.raises(WrongAnswer, match="another model abdomen than it should"):
            engine.predict(SLICES, "smooth")
        assert len(server.requests) == told + 1  # the answer alone told it


@pytest.mark.parametrize(
    "change", [{"card": dataclasses.replace(CARD, sha256="a" * 64)}, {"metadata": {"inputs": []}}]
)
def test_a_server_that_comes_back_with_another_model_is_noticed_before_any_slice(change):
    served = ServedNetwork(CARD)
    with remote_engine(served) as (engine, server):
        engine.predict(SLICES, "smooth")
        for name, value in change.items():
            setattr(served, name, value)
        server.hang_up()
        with pytest.raises(WrongAnswer, match="another model abdomen than it should"):
            engine.predict(SLICES, "smooth")
        assert len(server.inferences) == 1
