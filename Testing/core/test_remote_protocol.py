"""Our requests are those of the protocol, as NVIDIA's own client makes them."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_networks import slices
from phantom import make_card
from remote_engines import remote_engine
from served_network import ServedNetwork

from GDLACore.serving import contract

triton = pytest.importorskip("tritonclient.http")

CARD = make_card()


def test_a_request_has_what_the_servers_own_client_would_send():
    several = slices(2, 50, 60)
    with remote_engine(ServedNetwork(CARD)) as (engine, server):
        labels, _ = engine.predict_with_confidence(several, "smooth")
        (ours,) = server.inferences
        witness = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
        result = witness.infer(
            "abdomen",
            [_input(kind, ours) for kind in contract.inputs(CARD)],
            model_version="1",
            outputs=[triton.InferRequestedOutput(one["name"]) for one in ours.head["outputs"]],
            request_id=ours.head["id"],
        )
        witness.close()
        theirs = server.inferences[-1]
    assert ours.path.lstrip("/") == theirs.path.lstrip("/")
    assert ours.head == theirs.head
    size = "Inference-Header-Content-Length"
    assert ours.body[int(ours.headers[size]) :] == theirs.body[int(theirs.headers[size]) :]
    np.testing.assert_array_equal(result.as_numpy("labels"), labels)


def _input(kind: contract.TensorKind, request) -> object:
    start = int(request.headers["Inference-Header-Content-Length"])
    for told in request.head["inputs"]:
        size = told["parameters"]["binary_data_size"]
        if told["name"] == kind.name:
            array = np.frombuffer(request.body[start : start + size], kind.numpy_type)
            made = triton.InferInput(kind.name, told["shape"], kind.datatype)
            made.set_data_from_numpy(array.reshape(told["shape"]))
            return made
        start += size
    raise AssertionError(f"{kind.name} was not sent")
