"""Exported models in a real tritonserver, asked by NVIDIA's own client: answers are the engine's.

The client knows nothing of our code, so it is a witness that what is served follows the protocol.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("tritonclient.http", exc_type=ImportError)

import requests
from real_triton import start_triton
from tritonclient.http import (
    InferenceServerClient,
)
from tritonclient.utils import InferenceServerException
from witness import (
    DATATYPES,
    GREY,
    MANY,
    MODELS,
    Picture,
    asked,
    expected_labels,
    expected_logits,
    named,
    picture,
)

from GDLACore.engine.confidence import margin
from GDLACore.engine.onnx_engine import OnnxEngine
from GDLACore.export.model_file import onnx_model
from GDLACore.serving import contract
from GDLACore.serving.repository import write_repository
from GDLACore.serving.served_graph import served_graph
from GDLACore.serving.triton_config import TritonConfig, largest_batch

# Runs the graph that is made for GPUs, in a backend that is here, under the same configuration.
GRAPH_RUNNER = """
from pathlib import Path
import onnxruntime
import triton_python_backend_utils as triton

class TritonPythonModel:
    def initialize(self, args):
        path = Path(__file__).parent / "model.onnx"
        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def execute(self, requests):
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        feed = {
            one.name: triton.get_input_tensor_by_name(request, one.name).as_numpy()
            for one in self._session.get_inputs()
        }
        names = [one.name for one in self._session.get_outputs()]
        arrays = self._session.run(names, feed)
        return triton.InferenceResponse([triton.Tensor(*one) for one in zip(names, arrays)])
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve our engine's models, one twice over, and the graph for GPUs under the name "graph"."""
    repository = tmp_path_factory.mktemp("models")
    for model in MODELS.values():
        served = TritonConfig("python", instances=2 if model is GREY else 1)
        write_repository(repository, model.card, onnx_model(model), served, overwrite=False)
    graph = named(GREY, name="graph")
    folder = write_repository(
        repository, graph.card, served_graph(graph), TritonConfig("onnxruntime"), overwrite=False
    )
    (folder / "1" / "model.py").write_text(GRAPH_RUNNER, "utf-8")
    config = folder / "config.pbtxt"
    text = config.read_text("utf-8").replace('"onnxruntime"', '"python"')
    config.write_text(text.replace("KIND_GPU", "KIND_CPU"), "utf-8")
    triton = start_triton(repository, tmp_path_factory.mktemp("triton"))
    yield triton.url
    triton.kill()  # faster than an end in order


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(url.removeprefix("http://"), concurrency=8) as client:
        yield client


@pytest.fixture(scope="module")
def engines() -> Iterator[dict[str, OnnxEngine]]:
    engines = {
        name: OnnxEngine(onnx_model(model), model.card, "cpu", threads=2)
        for name, model in MODELS.items()
    }
    yield engines
    for engine in engines.values():
        engine.close()


@pytest.mark.parametrize("name", [*MODELS, "graph"])
def test_the_server_tells_of_a_model_what_the_contract_says(client, name):
    card = replace(MODELS.get(name, GREY).card, name=name)
    assert contract.disagreement(client.get_model_metadata(name), card) == ""
    config = client.get_model_config(name)
    assert contract.told_card(config) == card
    assert config["max_batch_size"] == largest_batch(card)


@pytest.mark.parametrize("shape", [(64, 64), (150, 201), (64, 333), (31, 512)])
@pytest.mark.parametrize("name", ["grey", "colour"])
def test_labels_are_bit_for_bit_the_engine_s(client, engines, name, shape):
    asking = picture(engines[name].card, 3, shape)
    given = asked(client, name, asking)
    logits = expected_logits(engines[name], asking)
    expected = expected_labels(engines[name], asking)
    assert len(np.unique(expected)) > 2
    assert np.array_equal(given.as_numpy(contract.LABELS), expected)
    assert np.array_equal(given.as_numpy(contract.LOGITS), logits)
    margins = np.stack([margin(one) for one in logits]).astype(np.float16)
    assert np.array_equal(given.as_numpy(contract.MARGIN), margins)
    assert given.as_numpy(contract.FINITE).tolist() == [[1]] * 3
    mark = contract.weights_mark(engines[name].card)
    assert np.array_equal(given.as_numpy(contract.WEIGHTS), np.stack([mark] * 3))
    for kind in contract.outputs(engines[name].card):
        assert given.as_numpy(kind.name).dtype == kind.numpy_type


def test_labels_beyond_a_byte_have_two(client, engines):
    asking = picture(MANY.card, 1, (64, 64))
    labels = asked(client, "many", asking, (contract.LABELS,)).as_numpy(contract.LABELS)
    assert labels.dtype == np.uint16
    assert np.array_equal(labels, expected_labels(engines["many"], asking))


def test_the_graph_for_gpus_answers_alike_under_its_own_configuration(client, engines):
    for number, shape in enumerate([(64, 64), (90, 41), (512, 300)]):
        asking = picture(GREY.card, 2, shape, seed=number)
        given = asked(client, "graph", asking)
        expected = expected_labels(engines["grey"], asking)
        # Ties can go the other way.
        wrong = np.count_nonzero(given.as_numpy(contract.LABELS) != expected)
        assert wrong <= expected.size / 10_000
        assert given.as_numpy(contract.FINITE).tolist() == [[1], [1]]
        mark = contract.weights_mark(GREY.card)
        assert np.array_equal(given.as_numpy(contract.WEIGHTS), np.stack([mark] * 2))


def test_only_what_is_asked_for_is_sent(client):
    answer = asked(client, "grey", picture(GREY.card, 1, (80, 80)), (contract.FINITE,))
    assert [one["name"] for one in answer.get_response()["outputs"]] == [contract.FINITE]


def test_a_slice_that_is_not_finite_is_told_and_leaves_the_others_alone(client, engines):
    asking = picture(GREY.card, 3, (70, 80))
    expected = expected_labels(engines["grey"], asking)
    scaling = asking.scaling.copy()
    scaling[1] = np.nan
    given = asked(client, "grey", replace(asking, scaling=scaling))
    assert given.as_numpy(contract.FINITE).tolist() == [[1], [0], [1]]
    assert np.array_equal(given.as_numpy(contract.LABELS)[[0, 2]], expected[[0, 2]])


def test_requests_that_are_joined_or_not_are_never_mixed_up(url, engines):
    engine = engines["grey"]
    sizes = [(64, 64), (80, 70), (70, 80), (80, 70), (200, 90)]
    pictures = [picture(GREY.card, 1 + n % 3, sizes[n % 5], seed=n) for n in range(30)]

    def labels(numbered: Picture) -> np.ndarray:
        with InferenceServerClient(url.removeprefix("http://")) as own:
            return asked(own, "grey", numbered, (contract.LABELS,)).as_numpy(contract.LABELS)

    with ThreadPoolExecutor(10) as pool:
        given = list(pool.map(labels, pictures))
    for asking, one in zip(pictures, given, strict=True):
        assert np.array_equal(one, expected_labels(engine, asking))


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((0, 80), "Labels of 0 x 80 pixels are asked for."),
        ((1025, 1024), "Labels of 1025 x 1024 pixels are asked for. They may have 1 to 1048576"),
    ],
)
def test_labels_of_an_impossible_size_are_refused_in_a_sentence(client, engines, shape, said):
    asking = picture(GREY.card, 1, shape)
    with pytest.raises(InferenceServerException, match=said):
        asked(client, "grey", asking, (contract.LABELS,))
    after = picture(GREY.card, 1, (64, 64))
    labels = asked(client, "grey", after, (contract.LABELS,)).as_numpy(contract.LABELS)
    assert np.array_equal(labels, expected_labels(engines["grey"], after))


def test_more_slices_than_the_configuration_allows_are_refused(client):
    many = picture(GREY.card, largest_batch(GREY.card) + 1, (64, 64))
    with pytest.raises(InferenceServerException, match="batch-size must be <= 32"):
        asked(client, "grey", many, (contract.LABELS,))


def test_pictures_of_another_size_are_refused(client):
    wrong = replace(GREY.card, input_size=96)
    with pytest.raises(InferenceServerException, match="unexpected shape for input 'image'"):
        asked(client, "grey", picture(wrong, 1, (64, 64)), (contract.LABELS,))


def test_labels_travel_compressed_where_the_client_asks_for_it(url, engines):
    asking = picture(GREY.card, 1, (512, 512))
    head, body = _request(asking)
    response = requests.post(
        f"{url}/v2/models/grey/infer",
        data=head + body,
        headers={"Inference-Header-Content-Length": str(len(head)), "Accept-Encoding": "deflate"},
        stream=True,
        timeout=60,
    )
    sent = response.raw.read(decode_content=False)
    assert response.headers["Content-Encoding"] == "deflate"
    length = int(response.headers["Inference-Header-Content-Length"])
    labels = np.frombuffer(zlib.decompress(sent)[length:], np.uint8).reshape(1, 512, 512)
    assert len(sent) < labels.size / 5
    assert np.array_equal(labels, expected_labels(engines["grey"], asking))


def _request(asking: Picture) -> tuple[bytes, bytes]:
    """Return a request for labels as head and body of the binary tensors' extension."""
    height, width = asking.shape
    arrays = (
        (contract.IMAGE, asking.image),
        (contract.SCALING, asking.scaling),
        (contract.ROWS, np.zeros((1, height), np.uint8)),
        (contract.COLUMNS, np.zeros((1, width), np.uint8)),
    )
    inputs = [
        {
            "name": name,
            "shape": array.shape,
            "datatype": DATATYPES[array.dtype.type],
            "parameters": {"binary_data_size": array.nbytes},
        }
        for name, array in arrays
    ]
    outputs = [{"name": contract.LABELS, "parameters": {"binary_data": True}}]
    head = json.dumps({"inputs": inputs, "outputs": outputs}).encode()
    return head, b"".join(array.tobytes() for _, array in arrays)
