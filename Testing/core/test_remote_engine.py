"""A network on a server gives what it gives here, whatever the slices and the card."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from inference_server import inference_server
from onnx_networks import slices
from phantom import make_card
from remote_engines import expected, remote_engine
from served_network import ServedNetwork, bright
from small_engines import make_engine, make_model_card

from GDLACore.engine import load_engine
from GDLACore.engine.slice_input import network_input as local_input
from GDLACore.errors import EngineError
from GDLACore.imaging.slice_resampling import slice_resampling
from GDLACore.model.card import ModelCard
from GDLACore.remote import RemoteEngine, RemoteServer
from GDLACore.remote.slice_input import network_input

COLOUR = make_model_card("RGB", 3)
MR = make_model_card("MR")
PARCELS = make_card(tuple(f"part {number}" for number in range(300)))


def network(card: ModelCard) -> ServedNetwork:
    return ServedNetwork(card, lambda images: bright(images, card.classes))


@pytest.mark.parametrize("borders", ["smooth", "published"])
@pytest.mark.parametrize(
    ("card", "shape"),
    [
        (make_card(), (100, 90)),
        (make_card(), (64, 64)),
        (make_card(), (40, 130)),
        (MR, (33, 50)),
        (COLOUR, (80, 100)),
        (COLOUR, (64, 64)),
        (COLOUR, (40, 90)),  # smaller than the square: logits travel
        (PARCELS, (70, 66)),  # labels of two bytes
    ],
)
def test_labels_are_those_of_a_local_engine_that_sees_the_same(card, shape, borders):
    several = slices(3, *shape, channels=card.in_channels)
    served = network(card)
    right = expected(served, several, borders)
    with remote_engine(served) as (engine, _):
        labels, confidence = engine.predict_with_confidence(several, borders)
        np.testing.assert_array_equal(engine.predict(several, borders), labels)
    assert labels.dtype == right[0].dtype and confidence.dtype == np.float16
    np.testing.assert_array_equal(labels, right[0])
    np.testing.assert_allclose(confidence, right[1], atol=2e-3)  # of float16 on the way
    assert len(np.unique(labels)) > 2


def test_of_a_large_picture_only_the_network_s_logits_are_asked_for():
    served = network(COLOUR)
    for shape, name in (((1024, 1024), "labels"), ((1024, 1025), "logits")):
        picture = slices(1, *shape, channels=3)
        with remote_engine(served) as (engine, server):
            labels = engine.predict(picture, "smooth")
            (question,) = server.inferences
            assert question.head["outputs"][0]["name"] == name
        np.testing.assert_array_equal(labels, expected(served, picture, "smooth")[0])


def test_a_real_network_finds_on_a_server_what_it_finds_here():
    with make_engine(threads=1) as local:
        several = slices(2, 90, 110)
        served = ServedNetwork(local.card, local.logits)
        with remote_engine(served) as (engine, _):
            labels, local_labels = (e.predict(several, "smooth") for e in (engine, local))
            assert len(np.unique(local_labels)) > 2
            assert (labels == local_labels).mean() > 0.999  # less where two classes are equal
            scores = engine.scores(several)
            np.testing.assert_allclose(scores, local.scores(several), atol=1e-2)
    assert scores.dtype == np.float32


@pytest.mark.parametrize("card", [make_card(), COLOUR], ids=["spline3", "antialias"])
@pytest.mark.parametrize("shape", [(20, 300), (64, 64), (512, 40)])
def test_slices_are_prepared_as_local_engines_prepare_them(card, shape):
    several = 400 * slices(2, *shape, channels=card.in_channels)
    plan = slice_resampling(card.resampling, shape, card.input_size)
    np.testing.assert_allclose(
        network_input(several, plan, card), local_input(several, plan, card), atol=5e-4
    )


def test_slices_travel_in_small_batches_that_the_server_takes():
    served = network(make_card())
    several = slices(5, 70, 70)
    for most, counts in ((64, [2, 2, 1]), (1, [1] * 5)):
        served.most = most
        with remote_engine(served) as (engine, server):
            assert engine.batch_size == counts[0] and engine.in_flight > 1
            engine.predict(several, "smooth")
            shapes = [one.head["inputs"][0]["shape"][0] for one in server.inferences]
            assert shapes == counts
            assert engine.predict(several[:0], "smooth").shape == (0, 70, 70)


def test_many_threads_get_each_their_own_slices():
    several = slices(40, 50, 60)
    served = network(make_card())
    right, _ = expected(served, several, "smooth")
    with remote_engine(served) as (engine, _), ThreadPoolExecutor(8) as pool:
        labels = list(pool.map(lambda one: engine.predict(one[None], "smooth")[0], several))
    np.testing.assert_array_equal(labels, right)


def test_an_engine_says_which_server_works_with_which_model():
    with remote_engine(network(make_card())) as (engine, server):
        assert isinstance(engine, RemoteEngine)
        assert engine.describe() == (
            f"server 127.0.0.1:{server.port} (Triton 2.51.0, model abdomen version 1)"
        )
        engine.warm_up()
        assert len(server.inferences) == 1


def test_a_closed_engine_says_so():
    with remote_engine(network(make_card())) as (engine, _):
        engine.close()
        with pytest.raises(EngineError, match="has been closed"):
            engine.predict(slices(1, 64, 64), "smooth")


def test_another_card_of_the_same_network_may_feed_it_but_no_other_networks():
    card = make_card()
    with remote_engine(network(card)) as (engine, _):
        engine.use_card(dataclasses.replace(card, title="Belly"))
        assert engine.card.title == "Belly"
        for other in (COLOUR, PARCELS, dataclasses.replace(card, resampling="antialias")):
            with pytest.raises(ValueError, match="network with other"):
                engine.use_card(other)


LONG = "9" * 5000  # more digits than Python makes a number of


@pytest.mark.parametrize(
    ("versions", "newest"),
    [(["9", "10", "2"], "10"), (["009", "10", "0002"], "10"), (["7", LONG, "8"], LONG)],
)
def test_the_newest_of_a_models_versions_is_asked_for_by_its_number(versions, newest):
    served = ServedNetwork(make_card(), version=newest, metadata={"versions": versions})
    with remote_engine(served) as (engine, server):
        engine.predict(slices(1, 64, 64), "smooth")
        assert server.inferences[0].path == f"/v2/models/abdomen/versions/{newest}/infer"


@pytest.mark.parametrize("shape", [(0, 10), (10, 0)])
@pytest.mark.parametrize("card", [make_card(), COLOUR], ids=["spline3", "antialias"])
def test_slices_without_pixels_are_told_and_no_server_is_asked(card, shape):
    empty = np.zeros((1, card.in_channels, *shape), np.float32)
    with remote_engine(network(card), fall_back=True) as (engine, server):
        with pytest.raises(EngineError, match=f"Slices of {shape[0]} x {shape[1]} pixels cannot"):
            engine.predict(empty, "smooth")
        assert server.inferences == []


def test_a_server_behind_a_path_is_asked_there():
    with inference_server(network(make_card())) as server:
        asked = RemoteServer(f"{server.url}/triton")
        with pytest.raises(Exception, match="does not speak"):
            load_engine("abdomen", server=asked)
        assert server.requests[-1].path == "/triton/v2"
