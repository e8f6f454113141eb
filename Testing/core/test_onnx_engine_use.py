"""The ONNX Runtime engine in use: its threads, its model and card, its end, its refusals."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from onnx_networks import constant, convolution, exploding, kernel, make_onnx, slices
from phantom import make_card
from small_engines import make_model_card

from GDLACore.engine.onnx_engine import OnnxEngine
from GDLACore.engine.processors import physical_cores
from GDLACore.errors import EngineError


@pytest.mark.parametrize(("threads", "words"), [(1, "CPU (1 thread)"), (3, "CPU (3 threads)")])
def test_the_cpu_works_on_as_many_slices_as_it_is_told(threads, words):
    with OnnxEngine(convolution(make_card()), make_card(), "cpu", threads) as engine:
        assert engine.describe() == words
        assert engine.batch_size == threads
        engine.warm_up()


def test_left_to_itself_the_cpu_works_on_one_slice_for_each_core():
    with OnnxEngine(convolution(make_card()), make_card(), "cpu") as engine:
        assert engine.batch_size == physical_cores()


@pytest.mark.parametrize(
    ("side", "asked", "slices_at_a_time"), [(224, None, 64), (1024, None, 3), (1024, 4, 4)]
)
def test_many_cores_fill_no_more_than_two_gigabytes_unless_they_are_told_to(
    monkeypatch, side, asked, slices_at_a_time
):
    monkeypatch.setattr("GDLACore.engine.onnx_engine.physical_cores", lambda: 64)
    card = make_model_card(input_size=side)
    with OnnxEngine(convolution(card), card, "cpu", asked) as engine:
        assert engine.batch_size == slices_at_a_time
        assert engine.describe() == f"CPU ({slices_at_a_time} threads)"


def test_the_cpu_needs_the_models_content_no_more_once_it_is_loaded():
    content = convolution(make_card())
    before = sys.getrefcount(content)
    with OnnxEngine(content, make_card(), "cpu") as engine:
        assert sys.getrefcount(content) == before
        engine.warm_up()


def test_a_file_is_as_good_as_its_content(tmp_path: Path):
    card = make_card()
    path = tmp_path / "größe 模型.onnx"
    path.write_bytes(convolution(card))
    expected = OnnxEngine(convolution(card), card, "cpu").scores(slices(2, 40, 30))
    with OnnxEngine(path, card, "cpu") as engine:
        np.testing.assert_array_equal(engine.scores(slices(2, 40, 30)), expected)


def test_another_card_of_the_same_network_changes_how_it_is_fed():
    card = make_card()
    rectangles = slices(2, 96, 20)
    half_pixel = replace(card, resampling="antialias", view="transpose")
    expected = OnnxEngine(convolution(card), half_pixel, "cpu").predict(rectangles, "smooth")
    with OnnxEngine(convolution(card), card, "cpu") as engine:
        assert (engine.predict(rectangles, "smooth") != expected).any()
        engine.use_card(half_pixel)
        assert engine.card is half_pixel
        np.testing.assert_array_equal(engine.predict(rectangles, "smooth"), expected)


@pytest.mark.parametrize(
    "other",
    [make_card(("liver",)), make_model_card("RGB", 3), make_model_card(input_size=96)],
    ids=["classes", "in_channels", "input_size"],
)
def test_the_card_of_another_network_is_refused(other, request):
    card = make_card()
    with OnnxEngine(convolution(card), card, "cpu") as engine:
        with pytest.raises(ValueError, match=request.node.callspec.id):
            engine.use_card(other)
        assert engine.card is card


@pytest.mark.parametrize("question", ["predict", "scores", "warm_up", "logits"])
def test_a_closed_engine_does_not_answer(question):
    with OnnxEngine(convolution(make_card()), make_card(), "cpu", 2) as engine:
        engine.warm_up()
    arguments = {
        "predict": (slices(3, 40, 30), "smooth"),
        "scores": (slices(3, 40, 30),),
        "logits": (slices(1, 64, 64),),
    }
    with pytest.raises(EngineError, match="closed") as caught:
        getattr(engine, question)(*arguments.get(question, ()))
    assert caught.value.hint == "Load it again."
    engine.close()  # a second time does no harm


@pytest.mark.parametrize("content", [b"", b"not an ONNX file", convolution(make_card())[:300]])
def test_what_onnx_runtime_cannot_read_is_said_in_a_sentence(content):
    with pytest.raises(EngineError) as caught:
        OnnxEngine(content, make_card(), "cpu")
    assert "cannot run the network" in caught.value.message
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_network_of_another_size_than_its_card_says_is_refused_when_it_is_opened():
    card = make_card()

    def halved(graph, image):
        weights = graph.constant(kernel(card))
        return graph("Conv", image, weights, pads=[1, 1, 1, 1], strides=[2, 2])

    with pytest.raises(EngineError, match="4 x 32 x 32 results .* instead of 4 x 64 x 64"):
        OnnxEngine(make_onnx(card, halved), card, "cpu")


def test_weights_that_are_no_numbers_are_noticed_when_the_model_is_opened():
    logits = np.zeros((4, 64, 64), np.float32)
    logits[1, 5, 5] = np.nan
    with pytest.raises(EngineError, match="not finite") as caught:
        OnnxEngine(constant(make_card(), logits), make_card(), "cpu")
    assert "damaged" in caught.value.hint


@pytest.mark.parametrize("value", [9.0, np.inf, np.nan])
def test_results_that_are_no_numbers_are_refused_rather_than_called_background(value):
    engine = OnnxEngine(exploding(make_card()), make_card(), "cpu", 2)
    several = slices(3, 64, 64)
    engine.predict(several, "smooth")
    several[1, 0, 30, 30] = value
    for question in (partial(engine.predict, borders="smooth"), engine.scores):
        with pytest.raises(EngineError, match=r"on CPU \(2 threads\) are not finite") as caught:
            question(several)
        assert "values" in caught.value.hint
    # It was the image, not the engine.
    engine.predict(several[:1], "smooth")
