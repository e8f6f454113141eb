"""How a real tritonserver with exported models begins, or says why it cannot."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("tritonclient.http", exc_type=ImportError)

from real_triton import SERVER_PYTHON, TritonFailed, find_programs, start_triton
from tritonclient.http import InferenceServerClient
from witness import GREY, asked, expected_labels, picture

from GDLACore.engine.onnx_engine import OnnxEngine
from GDLACore.export.model_file import onnx_model
from GDLACore.serving import contract
from GDLACore.serving.repository import write_repository
from GDLACore.serving.served_graph import served_graph
from GDLACore.serving.triton_config import TritonConfig


@pytest.fixture
def engine() -> Iterator[OnnxEngine]:
    with OnnxEngine(onnx_model(GREY), GREY.card, "cpu", threads=2) as engine:
        yield engine


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


def test_a_killed_server_comes_back_at_its_address_and_answers_alike(tmp_path, engine):
    write_repository(
        tmp_path / "m", GREY.card, onnx_model(GREY), TritonConfig("python"), overwrite=False
    )
    asking = picture(GREY.card, 3, (90, 70))
    port = None
    for _ in range(2):
        with start_triton(tmp_path / "m", tmp_path, port) as triton:
            with InferenceServerClient(triton.url.removeprefix("http://")) as client:
                labels = asked(client, "grey", asking, (contract.LABELS,))
            triton.kill()
        given = labels.as_numpy(contract.LABELS)
        assert np.array_equal(given, expected_labels(engine, asking))
        port = triton.port
