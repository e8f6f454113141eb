"""Exported models in a real tritonserver, asked by NVIDIA's own client: answers are the engine's.

The client knows nothing of our code, so it is a witness that what is served follows the protocol.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pytest

pytest.importorskip("tritonclient.http", exc_type=ImportError)

import requests
from exported import small_model
from onnx_networks import slices
from real_triton import SERVER_PYTHON, TritonFailed, find_programs, start_triton
from tritonclient.http import (
    InferenceServerClient,
    InferInput,
    InferRequestedOutput,
    InferResult,
)
from tritonclient.utils import InferenceServerException

from GDLACore.engine.confidence import margin
from GDLACore.engine.onnx_engine import OnnxEngine
from GDLACore.export.model_file import onnx_model
from GDLACore.model.card import ModelCard
from GDLACore.serving import contract
from GDLACore.serving.repository import write_repository
from GDLACore.serving.served_graph import served_graph
from GDLACore.serving.triton_config import TritonConfig, largest_batch
from GDLACore.weights.loading import ModelWeights

ALL = (contract.LABELS, contract.MARGIN, contract.LOGITS, contract.FINITE)
DATATYPES = {numpy_type: name for name, numpy_type in contract.NUMPY_TYPES.items()}

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


@dataclass(frozen=True, eq=False)
class Picture:
    """One request: slices as they travel, and the size of the labels wanted."""

    image: np.ndarray
    scaling: np.ndarray
    shape: tuple[int, int]

    @property
    def network_input(self) -> np.ndarray:
        return contract.dequantised(self.image, self.scaling)


def picture(card: ModelCard, count: int, shape: tuple[int, int], seed: int = 5) -> Picture:
    side = card.input_size
    pictures = slices(count, side, side, card.in_channels, seed)
    return Picture(*contract.quantised(pictures), shape)


def named(model: ModelWeights, **fields: object) -> ModelWeights:
    return replace(model, card=replace(model.card, **fields))


GREY = named(small_model(), name="grey")
COLOUR = named(small_model(in_channels=3), name="colour", resampling="antialias")
MANY = named(small_model(classes=258), name="many")
MODELS = {model.card.name: model for model in (GREY, COLOUR, MANY)}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve our engine's models, and the graph for GPUs under the name "graph"."""
    repository = tmp_path_factory.mktemp("models")
    for model in MODELS.values():
        write_repository(
            repository, model.card, onnx_model(model), TritonConfig("python"), overwrite=False
        )
    graph = named(GREY, name="graph")
    folder = write_repository(
        repository, graph.card, served_graph(graph), TritonConfig("onnxruntime"), overwrite=False
    )
    (folder / "1" / "model.py").write_text(GRAPH_RUNNER, "utf-8")
    config = folder / "config.pbtxt"
    text = config.read_text("utf-8").replace('"onnxruntime"', '"python"')
    config.write_text(text.replace("KIND_GPU", "KIND_CPU"), "utf-8")
    with start_triton(repository, tmp_path_factory.mktemp("triton")) as triton:
        yield triton.url


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


def asked(
    client: InferenceServerClient, model: str, asking: Picture, wanted: tuple[str, ...] = ALL
) -> InferResult:
    count, (height, width) = len(asking.image), asking.shape
    arrays = {
        contract.IMAGE: asking.image,
        contract.SCALING: asking.scaling,
        contract.ROWS: np.zeros((count, height), np.uint8),
        contract.COLUMNS: np.zeros((count, width), np.uint8),
    }
    inputs = []
    for name, array in arrays.items():
        inputs.append(InferInput(name, array.shape, DATATYPES[array.dtype.type]))
        inputs[-1].set_data_from_numpy(array)
    outputs = [InferRequestedOutput(name) for name in wanted]
    return client.infer(model, inputs, outputs=outputs)


def expected_logits(engine: OnnxEngine, asking: Picture) -> np.ndarray:
    """Return what ``engine`` computes of the same input, one by one as it does on a CPU."""
    return np.concatenate([engine.logits(one[None]) for one in asking.network_input])


def expected_labels(engine: OnnxEngine, asking: Picture) -> np.ndarray:
    """Return the labels that ``engine`` gives for the same network's input."""
    logits = expected_logits(engine, asking)
    side = engine.card.input_size
    borders = "published" if asking.shape == (side, side) else "smooth"
    return engine.labels(logits, asking.shape, borders)


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
        ((20_000, 1), "Labels of 20000 x 1 pixels are asked for. A side may have 1 to 16384"),
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
        timeout=30,
    )
    sent = response.raw.read(decode_content=False)
    assert response.headers["Content-Encoding"] == "deflate"
    length = int(response.headers["Inference-Header-Content-Length"])
    labels = np.frombuffer(zlib.decompress(sent)[length:], np.uint8).reshape(1, 512, 512)
    assert len(sent) < labels.size / 5
    assert np.array_equal(labels, expected_labels(engines["grey"], asking))


def test_a_python_backend_that_reads_wrong_numbers_is_refused_at_the_start(tmp_path, monkeypatch):
    if np.lib.NumpyVersion(np.__version__) < "2.0.0":
        pytest.skip("this Python has the numpy that the wheel's Python backend was built for")
    card = GREY.card
    write_repository(
        tmp_path / "m", card, onnx_model(GREY), TritonConfig("python"), overwrite=False
    )
    find_programs()  # skips, where the server is not installed
    monkeypatch.setenv(SERVER_PYTHON, sys.executable)
    find_programs.cache_clear()
    try:
        with pytest.raises(TritonFailed) as caught:
            start_triton(tmp_path / "m", tmp_path)
    finally:
        find_programs.cache_clear()
    said = f"Python backend reads wrong numbers with numpy {np.__version__}: nothing it answered"
    assert said in str(caught.value)


def test_of_the_configuration_for_gpus_only_the_backend_is_missing_here(tmp_path):
    write_repository(
        tmp_path / "m", GREY.card, served_graph(GREY), TritonConfig("onnxruntime"), overwrite=False
    )
    with pytest.raises(TritonFailed, match="unable to find backend library for backend 'onnxrun"):
        start_triton(tmp_path / "m", tmp_path)


def test_a_killed_server_comes_back_at_its_address_and_answers_alike(tmp_path, engines):
    write_repository(
        tmp_path / "m", GREY.card, onnx_model(GREY), TritonConfig("python", 2), overwrite=False
    )
    asking = picture(GREY.card, 3, (90, 70))
    port = None
    for _ in range(2):
        with start_triton(tmp_path / "m", tmp_path, port) as triton:
            with InferenceServerClient(triton.url.removeprefix("http://")) as client:
                labels = asked(client, "grey", asking, (contract.LABELS,))
            triton.kill()
        given = labels.as_numpy(contract.LABELS)
        assert np.array_equal(given, expected_labels(engines["grey"], asking))
        port = triton.port


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
