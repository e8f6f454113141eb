"""What runs in a server's Python, with a stand-in for what the server gives it there."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from types import ModuleType

import numpy as np
import pytest
from exported import small_model
from onnx_networks import slices

from GDLACore.engine.onnx_engine import OnnxEngine
from GDLACore.errors import EngineError, ModelFileError
from GDLACore.export.model_file import onnx_model
from GDLACore.model.card import ModelCard
from GDLACore.serving import contract, triton_model
from GDLACore.serving.served_network import Question, ServedNetwork
from GDLACore.serving.triton_config import MODEL_FILE
from GDLACore.serving.triton_model import TritonPythonModel, check_tensors

MODEL = small_model()
ALL = frozenset(kind.name for kind in contract.outputs(MODEL.card))
FINAL = 1


class Tensor:
    """A tensor as the Python backend has them: made of an array, or of memory."""

    def __init__(self, name: str, array: np.ndarray) -> None:
        self._name, self._array = name, array

    def as_numpy(self) -> np.ndarray:
        return self._array

    def to_dlpack(self) -> np.ndarray:
        return self._array

    @staticmethod
    def from_dlpack(name: str, memory: np.ndarray) -> Tensor:
        return Tensor(name, memory)


class BlindTensor(Tensor):
    """Built for another numpy: what comes from memory is read as zeros."""

    @staticmethod
    def from_dlpack(name: str, memory: np.ndarray) -> Tensor:
        return Tensor(name, np.zeros_like(memory))


class NarrowTensor(Tensor):
    """Takes numbers for others of another type."""

    @staticmethod
    def from_dlpack(name: str, memory: np.ndarray) -> Tensor:
        return Tensor(name, memory.astype(np.int64))


@dataclass
class Response:
    tensors: Sequence[Tensor] = ()
    error: Exception | None = None

    def arrays(self) -> dict[str, np.ndarray]:
        return {tensor._name: tensor.as_numpy() for tensor in self.tensors}


@dataclass
class Request:
    """A request, which is its own sender of responses."""

    inputs: dict[str, np.ndarray]
    wanted: frozenset[str] = ALL
    sent: list[Response] = field(default_factory=list)

    def requested_output_names(self) -> list[str]:
        return sorted(self.wanted)

    def get_response_sender(self) -> Request:
        return self

    def send(self, response: Response, flags: int) -> None:
        assert flags == FINAL
        self.sent.append(response)

    @property
    def response(self) -> Response:
        (response,) = self.sent
        return response


def backend(tensor: type[Tensor] = Tensor) -> ModuleType:
    module = ModuleType("triton_python_backend_utils")
    module.Tensor = tensor
    module.InferenceResponse = Response
    module.TritonError = RuntimeError
    module.TRITONSERVER_RESPONSE_COMPLETE_FINAL = FINAL
    module.get_input_tensor_by_name = lambda request, name: tensor(name, request.inputs[name])
    return module


def request(seed: int, shape: tuple[int, int] = (70, 80), count: int = 2) -> Request:
    image, scaling = contract.quantised(slices(count, 64, 64, seed=seed))
    rows, columns = (np.zeros((count, side), np.uint8) for side in shape)
    return Request(
        {
            contract.IMAGE: image,
            contract.SCALING: scaling,
            contract.ROWS: rows,
            contract.COLUMNS: columns,
        }
    )


def question(of: Request) -> Question:
    return Question(*of.inputs.values(), of.wanted)


@pytest.fixture(scope="module")
def network() -> Iterator[ServedNetwork]:
    served = ServedNetwork(OnnxEngine(onnx_model(MODEL), MODEL.card, "cpu"), threads=2)
    yield served
    served.close()


@pytest.fixture
def start(tmp_path, monkeypatch) -> Iterator[Callable[[ModelCard], TritonPythonModel]]:
    """Return what starts, with a card that clients are told, what Triton would run.

    That is in a folder like that of an exported model.
    """
    (tmp_path / MODEL_FILE).write_bytes(onnx_model(MODEL))
    monkeypatch.setattr(triton_model, "HERE", tmp_path)
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", backend())
    started = []

    def model_that_tells(card: ModelCard) -> TritonPythonModel:
        parameters = contract.parameters(card)
        config = {
            "name": "abdomen",
            "instance_group": [{"count": 2}],
            "parameters": {key: {"string_value": text} for key, text in parameters.items()},
        }
        model = TritonPythonModel()
        model.initialize({"model_config": json.dumps(config)})
        started.append(model)
        return model

    yield model_that_tells
    for model in started:
        model.finalize()


@pytest.fixture
def model(start) -> TritonPythonModel:
    return start(MODEL.card)


def test_a_backend_that_hands_over_what_it_was_given_is_taken():
    check_tensors(backend())


@pytest.mark.parametrize("tensor", [BlindTensor, NarrowTensor])
def test_a_backend_that_reads_other_numbers_is_refused(tensor):
    with pytest.raises(EngineError, match="reads wrong numbers with numpy") as caught:
        check_tensors(backend(tensor))
    assert "Install numpy below 2" in caught.value.hint


def test_the_model_says_at_its_start_what_it_runs_on(capsys, model):
    assert capsys.readouterr().out.startswith("abdomen 1.2: CPU (")


def test_every_request_gets_its_own_answer_once(model, network):
    requests = [request(seed, shape=(64 + seed, 90)) for seed in range(4)]
    assert model.execute(requests) is None
    for one in requests:
        given, expected = one.response.arrays(), network.ask(question(one))()
        assert given.keys() == ALL
        assert all(np.array_equal(given[name], expected[name]) for name in ALL)
        assert given[contract.LABELS].shape == (2, *question(one).shape)


def test_a_bad_request_is_told_so_and_leaves_the_others_alone(model):
    good, huge, none, odd, after = (request(seed) for seed in range(5))
    none.inputs[contract.COLUMNS] = np.zeros((2, 0), np.uint8)
    huge.inputs[contract.ROWS] = np.zeros((2, 1024 * 1024 // 80 + 1), np.uint8)
    del odd.inputs[contract.SCALING]
    model.execute([good, huge, none, odd, after])
    assert good.response.error is after.response.error is None
    assert str(huge.response.error) == (
        "Labels of 13108 x 80 pixels are asked for. They may have 1 to 1048576 pixels. Make larger "
        "ones from the logits."
    )
    assert str(none.response.error).startswith("Labels of 70 x 0 pixels are asked for.")
    assert str(odd.response.error) == "The model failed: KeyError: 'scaling'"


def test_an_answer_that_cannot_be_sent_leaves_the_others_alone(model, capsys):
    class Gone(Request):
        def send(self, response: Response, flags: int) -> None:
            raise RuntimeError("the client is gone")

    first, gone, after = request(0), Gone(request(1).inputs), request(2)
    model.execute([first, gone, after])
    assert first.response.error is after.response.error is None
    assert "An answer was not sent: RuntimeError: the client is gone\n" in capsys.readouterr().out


def test_an_answer_that_cannot_be_made_is_told_and_leaves_the_others_alone(model, monkeypatch):
    def response(tensors: Sequence[Tensor] = (), error: Exception | None = None) -> Response:
        if any(len(tensor.as_numpy()) > 2 for tensor in tensors):
            raise MemoryError("no shared memory")
        return Response(tensors, error)

    monkeypatch.setattr(model._triton, "InferenceResponse", response)
    large, after = request(0, count=3), request(1)
    model.execute([large, after])
    assert str(large.response.error) == "The model failed: MemoryError: no shared memory"
    assert after.response.error is None


def test_the_network_is_used_as_the_card_says_that_clients_are_told(tmp_path, start):
    own = replace(MODEL.card, resampling="spline3")
    (tmp_path / MODEL_FILE).write_bytes(onnx_model(replace(MODEL, card=own)))
    told = replace(own, resampling="antialias")
    one = request(0, shape=(150, 201))
    started = start(told)
    started.execute([one])
    given = one.response.arrays()
    labels = []
    for card in (told, own):
        with closing(ServedNetwork(OnnxEngine(onnx_model(MODEL), card, "cpu"), 2)) as served:
            labels.append(served.ask(question(one))()[contract.LABELS])
    assert not np.array_equal(*labels)
    assert np.array_equal(given[contract.LABELS], labels[0])
    assert np.array_equal(given[contract.WEIGHTS], [contract.weights_mark(told)] * 2)


def test_what_fails_while_it_is_computed_is_told(model):
    wrong = request(0)
    wrong.inputs[contract.IMAGE] = wrong.inputs[contract.IMAGE][:, :, :63]
    model.execute([wrong])
    assert str(wrong.response.error).startswith("The model failed: ")


def test_only_what_is_wanted_is_computed(network):
    one = question(replace(request(0), wanted=frozenset({contract.FINITE})))
    assert network.ask(one)().keys() == {contract.FINITE}


def test_slices_that_are_not_finite_are_told_apart(network):
    asked, good = request(3, count=3), request(3, count=3)
    asked.inputs[contract.SCALING] = asked.inputs[contract.SCALING].copy()
    asked.inputs[contract.SCALING][1] = np.inf
    given, expected = (network.ask(question(one))() for one in (asked, good))
    assert given[contract.FINITE].tolist() == [[1], [0], [1]]
    for name in ALL - {contract.FINITE}:
        assert np.array_equal(given[name][[0, 2]], expected[name][[0, 2]])


def test_a_request_without_slices_is_no_reason_to_fall(network):
    with pytest.raises(EngineError, match="No slices are asked for"):
        network.ask(question(request(0, count=0)))


def test_a_damaged_model_is_refused_at_the_start(tmp_path, monkeypatch):
    content = bytearray(onnx_model(MODEL))
    content[len(content) // 2] ^= 1
    (tmp_path / MODEL_FILE).write_bytes(content)
    monkeypatch.setattr(triton_model, "HERE", tmp_path)
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", backend())
    with pytest.raises(ModelFileError, match="is damaged or was changed"):
        TritonPythonModel().initialize({"model_config": "{}"})
