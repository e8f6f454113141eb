"""The ONNX Runtime engine on GPUs, which no test needs to have."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest
from onnx_networks import (
    CUDA,
    DIRECTML,
    NO_MEMORY,
    OPENVINO,
    TENSORRT,
    LimitedSession,
    MeetingSession,
    Processors,
    convolution,
    engine_on,
    slices,
)
from phantom import make_card
from small_engines import make_model_card

from GDLACore.engine.onnx_engine import OnnxEngine
from GDLACore.errors import EngineError


@pytest.fixture
def gpu(monkeypatch) -> Callable[..., tuple[OnnxEngine, Processors]]:
    """Return a function that makes an engine on a GPU, for two slices a batch, from a session."""
    monkeypatch.setattr("GDLACore.engine.onnx_engine.free_gpu_memory", lambda: None)
    monkeypatch.setattr("GDLACore.engine.onnx_engine._CAREFUL_GPU_BATCH", 2)
    return lambda session, provider=CUDA: engine_on(provider, session, monkeypatch)


@pytest.mark.parametrize("n", [1, 5, 6, 11])
def test_a_gpu_gets_slices_in_batches_and_its_labels_are_those_of_the_cpu(n, gpu):
    card = make_card()
    several = slices(n, 40, 30)
    reference = OnnxEngine(convolution(card), card, "cpu")
    session = LimitedSession(card, 2, AssertionError("more than the memory was said to hold"))
    engine, _ = gpu(session)
    assert engine.describe() == "GPU (test)"
    assert engine.batch_size == 6  # three batches: one is prepared, one computed, one labelled
    for borders in ("smooth", "published"):
        np.testing.assert_array_equal(
            engine.predict(several, borders), reference.predict(several, borders)
        )
    np.testing.assert_allclose(engine.scores(several), reference.scores(several), atol=1e-5)
    assert sum(session.asked) == 3 * n


def test_openvino_on_the_cpu_gets_slices_one_by_one_as_batches_gain_nothing_there(monkeypatch):
    session = LimitedSession(make_card(), 1, AssertionError("slices share no run on a CPU"))
    engine, processors = engine_on(OPENVINO, session, monkeypatch, threads=2)
    assert (engine.describe(), engine.batch_size) == ("CPU (OpenVINO)", 2)
    engine.predict(slices(5, 40, 30), "smooth")
    assert session.asked == [1] * 5
    assert processors.opened == ["auto"]


@pytest.mark.parametrize(
    ("gigabytes", "batch"), [(None, 4), (80, 32), (6, 13), (0.9, 1), (0.1, 1), (0, 1)]
)
def test_a_gpus_batches_fit_into_half_of_its_free_memory(gigabytes, batch, monkeypatch):
    free = None if gigabytes is None else int(gigabytes * 1e9)
    monkeypatch.setattr("GDLACore.engine.onnx_engine.free_gpu_memory", lambda: free)
    session = LimitedSession(make_model_card(input_size=224), 1, AssertionError())
    engine, _ = engine_on(CUDA, session, monkeypatch)
    assert engine.batch_size == 3 * batch


@pytest.mark.parametrize(("provider", "batch"), [(DIRECTML, 4), (TENSORRT, 1)])
def test_other_gpus_get_small_batches_whatever_nvidias_driver_says(monkeypatch, provider, batch):
    def never() -> int:
        raise AssertionError("NVIDIA's driver knows nothing of this GPU, or needs not be asked")

    monkeypatch.setattr("GDLACore.engine.onnx_engine.free_gpu_memory", never)
    session = LimitedSession(make_card(), batch, AssertionError("more than were to come"))
    engine, _ = engine_on(provider, session, monkeypatch)
    assert engine.batch_size == 3 * batch
    engine.predict(slices(3 * batch + 1, 40, 30), "smooth")
    assert set(session.asked) == {1, batch}


@pytest.mark.parametrize("error", NO_MEMORY, ids=lambda e: str(e)[-25:] or type(e).__name__)
def test_a_gpu_short_of_memory_gets_smaller_batches(error, gpu, caplog):
    card = make_card()
    several = slices(11, 40, 30)
    reference = OnnxEngine(convolution(card), card, "cpu").predict(several, "smooth")
    session = LimitedSession(card, 1, error)
    engine, processors = gpu(session)
    np.testing.assert_array_equal(engine.predict(several, "smooth"), reference)
    assert processors.opened == ["auto"]
    assert engine.batch_size == 3
    assert "slices go on in batches of 3" in caplog.text
    # It has learnt its lesson.
    session.asked.clear()
    engine.predict(several, "smooth")
    assert session.asked == [1] * 11


def test_a_gpu_too_small_for_one_slice_leaves_the_work_to_the_cpu(gpu, caplog):
    card = make_card()
    several = slices(7, 40, 30)
    reference = OnnxEngine(convolution(card), card, "cpu").predict(several, "smooth")
    session = LimitedSession(card, 2, NO_MEMORY[0])
    engine, processors = gpu(session)
    session.most = 0
    assert not engine.on_cpu
    np.testing.assert_array_equal(engine.predict(several, "smooth"), reference)
    assert engine.on_cpu
    assert processors.opened == ["auto", "cpu"]
    assert engine.describe() == "the GPU ran out of memory: running on CPU (2 threads)"
    assert engine.batch_size == 2
    assert "going on with the CPU" in caplog.text


def test_the_models_content_is_kept_only_as_long_as_the_cpu_may_still_need_it(monkeypatch):
    card = make_card()
    content = convolution(card)
    session = LimitedSession(card, 6, MemoryError())
    monkeypatch.setattr("GDLACore.engine.onnx_engine.open_session", Processors(session, CUDA))
    before = sys.getrefcount(content)
    with OnnxEngine(content, card):
        assert sys.getrefcount(content) > before
    assert sys.getrefcount(content) == before
    engine = OnnxEngine(content, card)
    session.most = 0
    engine.predict(slices(1, 40, 30), "smooth")
    assert engine.on_cpu and sys.getrefcount(content) == before


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("CUDA failure 719: unspecified launch failure", "CUDA failure 719: unspecified launch"),
        (
            "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Conv "
            "node.\n/home/jane/cuda_call.cc:129 operator() CUDNN failure 8 ; hostname=WARD-7",
            "Non-zero status code returned while running Conv node.",
        ),
    ],
)
def test_other_failures_of_a_gpu_are_one_sentence_and_advise_the_cpu(gpu, raw, words):
    session = LimitedSession(make_card(), 2, RuntimeError(raw))
    engine, processors = gpu(session)
    session.most = 0
    with pytest.raises(EngineError) as caught:
        engine.predict(slices(7, 40, 30), "smooth")
    assert caught.value.message.startswith(f"The network failed: {words}")
    assert not any(name in caught.value.message for name in ("jane", "WARD", "\n", ".."))
    assert caught.value.hint == "Try the device cpu."
    assert processors.opened == ["auto"]


def test_directml_which_forbids_it_is_never_asked_by_two_threads_at_a_time(gpu):
    session = MeetingSession(make_card())
    engine, _ = gpu(session, DIRECTML)
    engine.predict(slices(3, 40, 30), "smooth")
    assert session.asked == [1, 1, 1] and not session.met


def test_cuda_is_given_a_batch_while_another_is_computed(gpu):
    session = MeetingSession(make_card())
    engine, _ = gpu(session)
    session.patience_s = 60
    engine.predict(slices(2, 40, 30), "smooth")
    assert session.met
