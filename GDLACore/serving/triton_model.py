"""What Triton's Python backend runs: our engine behind the inputs and outputs of the contract.

This file is copied beside an exported model as ``model.py``, with GDLACore in a folder next to it:
the server's Python needs numpy, scipy and onnxruntime alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

HERE = Path(__file__).resolve().parent
if (HERE / "GDLACore").is_dir():
    sys.path.insert(0, str(HERE))

from GDLACore.engine.onnx_engine import OnnxEngine  # noqa: E402
from GDLACore.engine.processors import physical_cores  # noqa: E402
from GDLACore.errors import EngineError, GDLAError  # noqa: E402
from GDLACore.model.onnx_file import check_onnx_file  # noqa: E402
from GDLACore.serving import contract  # noqa: E402
from GDLACore.serving.served_network import Question, ServedNetwork  # noqa: E402
from GDLACore.serving.triton_config import MODEL_FILE  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable


class TritonPythonModel:
    """The class that Triton looks for, and calls the methods of."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Load the model; raise EngineError, which ends up in the server's log, if it cannot."""
        self._triton = _backend()
        check_tensors(self._triton)
        config = json.loads(args["model_config"])
        path = HERE / MODEL_FILE
        own = check_onnx_file(path)
        # The card that clients are told may describe the network anew.
        card = contract.told_card(config) or own
        threads = max(1, physical_cores() // _instances(config))
        engine = OnnxEngine(path, card, "auto", threads)
        self._network = ServedNetwork(engine, threads)
        print(f"{card.name} {card.version}: {engine.describe()}", flush=True)

    def execute(self, requests: list[Any]) -> None:
        """Answer ``requests``, each as soon as its slices are done."""
        final = self._triton.TRITONSERVER_RESPONSE_COMPLETE_FINAL
        for request, outputs in [(request, self._asked(request)) for request in requests]:
            try:
                request.get_response_sender().send(self._response(outputs), flags=final)
            except Exception as error:  # of this request; the others are to be answered
                print(f"An answer was not sent: {type(error).__name__}: {error}", flush=True)

    def finalize(self) -> None:
        """Give the model's memory back."""
        self._network.close()

    def _asked(self, request: Any) -> Callable[[], dict[str, np.ndarray]]:
        """Begin to answer ``request``; return what waits for the outputs, or raises in its turn."""

        def array(name: str) -> np.ndarray:
            return self._triton.get_input_tensor_by_name(request, name).as_numpy()

        try:
            return self._network.ask(
                Question(
                    image=array(contract.IMAGE),
                    scaling=array(contract.SCALING),
                    rows=array(contract.ROWS),
                    columns=array(contract.COLUMNS),
                    wanted=frozenset(request.requested_output_names()),
                )
            )
        except Exception as error:
            return _raising(error)

    def _response(self, outputs: Callable[[], dict[str, np.ndarray]]) -> Any:
        triton = self._triton
        try:
            tensors = [triton.Tensor(name, array) for name, array in outputs().items()]
            return triton.InferenceResponse(tensors)
        except GDLAError as error:
            return triton.InferenceResponse(error=triton.TritonError(str(error)))
        except Exception as error:
            text = f"The model failed: {type(error).__name__}: {error}"
            return triton.InferenceResponse(error=triton.TritonError(text))


def check_tensors(triton: ModuleType) -> None:
    """Raise EngineError if the server's Python backend does not understand the numpy it found.

    Versions of it that were built for numpy 1 run with numpy 2 without any complaint, but read
    zeros for the pixels of every image.
    """
    for array in (
        np.arange(1, 13, dtype=np.int16).reshape(1, 3, 4),
        np.linspace(0.5, 1.5, 6, dtype=np.float32).reshape(3, 2),
        np.arange(1, 8, dtype=np.uint8).reshape(1, 7),
    ):
        # By way of DLPack an array is made from memory, as the tensors of requests are.
        there = triton.Tensor("sent", np.ascontiguousarray(array))
        back = triton.Tensor.from_dlpack("received", there.to_dlpack()).as_numpy()
        if back.dtype != array.dtype or not np.array_equal(back, array):
            raise EngineError(
                f"This server's Python backend reads wrong numbers with numpy {np.__version__}: "
                "nothing it answered could be trusted.",
                "Install numpy below 2 in the server's Python, or use a newer server.",
            )


def _raising(error: Exception) -> Callable[[], dict[str, np.ndarray]]:
    def outputs() -> dict[str, np.ndarray]:
        raise error

    return outputs


def _instances(config: Mapping[str, Any]) -> int:
    """Return how many processes share the processor's cores."""
    return max(1, sum(int(group.get("count", 1)) for group in config.get("instance_group", [])))


def _backend() -> ModuleType:
    # There is no such package but in a server.
    import triton_python_backend_utils

    return triton_python_backend_utils
