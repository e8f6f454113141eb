"""The whole service as one ONNX graph: it answers what our engine answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
from exported import small_model
from onnx_networks import slices

from GDLACore.engine.confidence import margin
from GDLACore.engine.onnx_engine import OnnxEngine
from GDLACore.errors import ModelFileError
from GDLACore.export.model_file import onnx_model
from GDLACore.serving import contract
from GDLACore.serving.served_graph import served_graph
from GDLACore.weights.loading import ModelWeights

COUNT = 3


def model_for(resampling: str) -> ModelWeights:
    model = small_model(in_channels=3 if resampling == "antialias" else 1)
    return replace(model, card=replace(model.card, resampling=resampling))


def asked(
    graph: bytes, image: np.ndarray, scaling: np.ndarray, shape: tuple[int, int]
) -> dict[str, np.ndarray]:
    """Return all outputs of ``graph``."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    feed = {
        contract.IMAGE: image,
        contract.SCALING: scaling,
        contract.ROWS: np.zeros((len(image), shape[0]), np.uint8),
        contract.COLUMNS: np.zeros((len(image), shape[1]), np.uint8),
    }
    return dict(zip(names, session.run(names, feed), strict=True))


@pytest.mark.parametrize("resampling", ["spline3", "antialias"])
@pytest.mark.parametrize("shape", [(64, 64), (150, 201), (64, 333)])
def test_the_graph_answers_as_the_engine_does(resampling, shape):
    model = model_for(resampling)
    card = model.card
    pictures = slices(COUNT, 64, 64, card.in_channels)
    image, scaling = contract.quantised(pictures)
    given = asked(served_graph(model), image, scaling, shape)

    with OnnxEngine(onnx_model(model), card, "cpu", threads=1) as engine:
        logits = engine.logits(contract.dequantised(image, scaling))
        labels = engine.labels(logits, shape, "smooth")
    assert len(np.unique(labels)) > 2
    # The same arithmetic but for the order of a few sums: only ties can go the other way.
    assert np.count_nonzero(given["labels"] != labels) <= labels.size / 10_000
    assert np.abs(given["logits"] - logits).max() <= 1e-5 * np.abs(logits).max()
    expected = np.stack([margin(one) for one in logits])
    assert np.abs(given["margin"] - expected).max() < 1e-3
    assert given["finite"].tolist() == [[1]] * COUNT
    for kind in contract.outputs(card):
        assert given[kind.name].dtype == kind.numpy_type
        assert given[kind.name].ndim == len(kind.shape)


def test_the_network_s_own_grid_is_given_without_interpolation():
    model = model_for("spline3")
    image, scaling = contract.quantised(slices(COUNT, 64, 64))
    given = asked(served_graph(model), image, scaling, (64, 64))
    assert np.array_equal(given["labels"], given["logits"].argmax(axis=1))


def test_labels_that_would_need_too_much_memory_are_not_made():
    model = model_for("spline3")
    image, scaling = contract.quantised(slices(COUNT, 64, 64))
    graph = served_graph(model)
    most = contract.most_pixels(model.card)
    assert asked(graph, image[:1], scaling[:1], (most // 64, 64))["labels"].size == most
    for shape in ((most // 64 + 1, 64), (100_000, 100_000)):
        given = asked(graph, image, scaling, shape)
        assert given["labels"].shape == (COUNT, 1, 1)
        assert given["finite"].tolist() == [[1]] * COUNT


def test_one_slice_s_scaling_is_not_another_s():
    model = model_for("spline3")
    pictures = slices(COUNT, 64, 64) * np.array([1, 3, 0.2], np.float32)[:, None, None, None]
    image, scaling = contract.quantised(pictures)
    together = asked(served_graph(model), image, scaling, (80, 90))
    for number in range(COUNT):
        one = slice(number, number + 1)
        alone = asked(served_graph(model), image[one], scaling[one], (80, 90))
        assert np.array_equal(alone["labels"], together["labels"][one])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_slice_whose_logits_are_not_finite_is_told_and_leaves_the_others_alone(bad):
    model = model_for("spline3")
    image, scaling = contract.quantised(slices(COUNT, 64, 64))
    graph = served_graph(model)
    good = asked(graph, image, scaling, (80, 90))
    scaling[1, 1] = bad
    given = asked(graph, image, scaling, (80, 90))
    assert given["finite"].tolist() == [[1], [0], [1]]
    assert np.array_equal(given["labels"][[0, 2]], good["labels"][[0, 2]])


def test_half_precision_halves_the_graph_and_changes_few_labels():
    model = model_for("spline3")
    image, scaling = contract.quantised(slices(COUNT, 64, 64))
    single, half = served_graph(model), served_graph(model, "fp16")
    assert 0.5 < len(half) / len(single) < 0.55
    first, second = (asked(graph, image, scaling, (100, 100)) for graph in (single, half))
    assert (first["labels"] != second["labels"]).mean() < 0.01
    assert second["logits"].dtype == np.float32


def test_the_graph_is_the_same_every_time_and_carries_the_card():
    model = model_for("spline3")
    graph = served_graph(model)
    assert served_graph(model) == graph
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    assert (
        session.get_modelmeta().custom_metadata_map[contract.CARD_KEY]
        == (contract.parameters(model.card)[contract.CARD_KEY])
    )


def test_labels_beyond_a_byte_have_two():
    model = small_model(classes=258)
    image, scaling = contract.quantised(slices(1, 64, 64))
    given = asked(served_graph(model), image, scaling, (64, 64))
    assert given["labels"].dtype == np.uint16
    assert np.array_equal(given["labels"], given["logits"].argmax(axis=1))


def test_a_network_that_only_pytorch_runs_is_refused():
    model = small_model()
    ablation = replace(model.card.architecture, mixer="gdla-no-gate")
    with pytest.raises(ModelFileError, match="which only PyTorch can run"):
        served_graph(replace(model, card=replace(model.card, architecture=ablation)))


def test_the_graph_is_valid_onnx():
    onnx = pytest.importorskip("onnx")
    onnx.checker.check_model(served_graph(model_for("spline3")), full_check=True)


def test_another_program_that_runs_onnx_gives_the_same_labels():
    openvino = pytest.importorskip("openvino")
    model = model_for("spline3")
    image, scaling = contract.quantised(slices(COUNT, 64, 64))
    scaling[1] = np.nan
    graph = served_graph(model)
    expected = asked(graph, image, scaling, (90, 120))
    core = openvino.Core()
    core.set_property("CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    compiled = core.compile_model(core.read_model(graph), "CPU")
    feed = {
        contract.IMAGE: image,
        contract.SCALING: scaling,
        contract.ROWS: np.zeros((COUNT, 90), np.uint8),
        contract.COLUMNS: np.zeros((COUNT, 120), np.uint8),
    }
    results = compiled(feed)
    given = {output.any_name: results[output] for output in compiled.outputs}
    assert given["finite"].tolist() == expected["finite"].tolist() == [[1], [0], [1]]
    labels = given["labels"][[0, 2]]
    assert np.count_nonzero(labels != expected["labels"][[0, 2]]) <= labels.size / 10_000
