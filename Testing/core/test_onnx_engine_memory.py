"""The ONNX Runtime engine when memory is short, and on GPUs, which no test needs to have."""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx_networks import (
    CPU,
    CUDA,
    DIRECTML,
    OPENVINO,
    LimitedSession,
    MeetingSession,
    Processors,
    convolution,
    engine_on,
    slices,
)
from phantom import make_card
from small_engines import make_engine, make_model_card

from GDLACore.engine.onnx_engine import OnnxEngine
from GDLACore.errors import EngineError

# As ONNX Runtime and the drivers beneath it say it.
NO_MEMORY = [
    RuntimeError(
        "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running "
        "Conv node. Status Message: bfc_arena.cc:376 AllocateRawInternal Failed to allocate memory "
        "for requested buffer of size 939524096"
    ),
    RuntimeError("CUDA failure 2: out of memory ; GPU=0 ; hostname=x ; expr=cudaMalloc(...)"),
    RuntimeError("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0"),
    RuntimeError("Exception(3) 8007000E Not enough memory resources are available to complete"),
    RuntimeError("[ONNXRuntimeError] : 1 : FAIL : bad allocation"),
    RuntimeError("std::bad_alloc"),
    MemoryError(),
]


@pytest.fixture
def gpu(monkeypatch) -> Callable[..., tuple[OnnxEngine, Processors]]:
    """Return a function that makes an engine on a GPU, for two slices a batch, from a session."""
    monkeypatch.setattr("GDLACore.engine.onnx_engine.free_gpu_memory", lambda: None)
    monkeypatch.setattr("GDLACore.engine.onnx_engine._LARGEST_GPU_BATCH", 2)
    return lambda session, provider=CUDA: engine_on(provider, session, monkeypatch)


by_words = pytest.mark.parametrize(
    "error", NO_MEMORY, ids=lambda e: str(e)[-25:] or type(e).__name__
)


@by_words
def test_too_little_memory_halves_the_slices_at_a_time_and_changes_nothing_else(
    error, monkeypatch, caplog
):
    several = slices(7, 40, 30)
    reference = OnnxEngine(convolution(make_card()), make_card(), "cpu").predict(several, "smooth")

    engine: OnnxEngine | None = None
    tried = []

    class Crowded(LimitedSession):
        def run(self, names, feed):
            if engine is not None:
                tried.append(engine.batch_size)
                if engine.batch_size > 2:
                    raise error
            return super().run(names, feed)

    session = Crowded(make_card(), 1, AssertionError("slices share no run on a CPU"))
    engine, _ = engine_on(CPU, session, monkeypatch, threads=8)
    np.testing.assert_array_equal(engine.predict(several, "smooth"), reference)
    assert list(dict.fromkeys(tried)) == [8, 3, 1]
    assert engine.batch_size == 1
    assert "going on with 3 slices at a time" in caplog.text


def test_too_little_memory_for_one_slice_is_said_so(monkeypatch):
    session = LimitedSession(make_card(), 1, MemoryError("bad_alloc"))
    engine, processors = engine_on(CPU, session, monkeypatch, threads=4)
    session.most = 0
    with pytest.raises(EngineError, match="one slice of 40 x 30 pixels") as caught:
        engine.predict(slices(4, 40, 30), "smooth")
    assert "bad_alloc" in caught.value.hint
    assert session.asked == [1] * 7  # four, two and one at a time
    assert processors.opened == ["cpu"]


def test_a_failed_attempt_has_ended_before_the_next_begins(monkeypatch):
    both, again = threading.Barrier(2), threading.Event()
    numbers = itertools.count()
    overlapped = []

    class Uneven(LimitedSession):
        def run(self, names, feed):
            number, first = next(numbers), feed["image"].mean() < 0.5
            if number in (1, 2):
                both.wait(10)
                if first:
                    raise MemoryError
                # Long enough for the next attempt to come, if nobody waits for this one.
                overlapped.append(again.wait(0.1))
            elif number > 2:
                again.set()
            return super().run(names, feed)

    session = Uneven(make_card(), 1, AssertionError())
    engine, _ = engine_on(CPU, session, monkeypatch, threads=2)
    black_and_white = np.stack(
        [np.zeros((1, 40, 30), np.float32), np.ones((1, 40, 30), np.float32)]
    )
    engine.predict(black_and_white, "smooth")
    assert overlapped == [False]


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
    ("gigabytes", "batch"), [(None, 32), (80, 32), (6, 13), (0.9, 1), (0.1, 1), (0, 1)]
)
def test_a_gpus_batches_fit_into_half_of_its_free_memory(gigabytes, batch, monkeypatch):
    free = None if gigabytes is None else int(gigabytes * 1e9)
    monkeypatch.setattr("GDLACore.engine.onnx_engine.free_gpu_memory", lambda: free)
    session = LimitedSession(make_model_card(input_size=224), 1, AssertionError())
    engine, _ = engine_on(CUDA, session, monkeypatch)
    assert engine.batch_size == 3 * batch


@by_words
def test_a_gpu_short_of_memory_gets_smaller_batches(error, gpu, caplog):
    card = make_card()
    several = slices(11, 40, 30)
    reference = OnnxEngine(convolution(card), card, "cpu").predict(several, "smooth")
    session = LimitedSession(card, 1, error)
    engine, processors = gpu(session)
    np.testing.assert_array_equal(engine.predict(several, "smooth"), reference)
    assert processors.opened == ["auto"]
    assert engine.batch_size == 3
    assert "going on with 3 slices at a time" in caplog.text
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
    np.testing.assert_array_equal(engine.predict(several, "smooth"), reference)
    assert processors.opened == ["auto", "cpu"]
    assert engine.describe() == "the GPU ran out of memory: running on CPU (2 threads)"
    assert engine.batch_size == 2
    assert "going on with the CPU" in caplog.text


def test_other_failures_of_a_gpu_name_it_and_advise_the_cpu(gpu):
    error = RuntimeError("CUDA failure 719: unspecified launch failure")
    session = LimitedSession(make_card(), 2, error)
    engine, processors = gpu(session)
    session.most = 0
    with pytest.raises(EngineError, match=r"GPU \(test\): CUDA failure 719") as caught:
        engine.predict(slices(7, 40, 30), "smooth")
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
    engine.predict(slices(2, 40, 30), "smooth")
    assert session.met


def resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory in use")
def test_slice_after_slice_the_memory_in_use_stays_the_same():
    engine = make_engine()
    several = slices(5, 256, 256)  # 1.3 MB
    for _ in range(2):
        engine.predict(several, "smooth")
    before = resident_megabytes()
    for _ in range(12):
        engine.predict(several, "smooth")
        engine.predict(several, "published")
    assert resident_megabytes() - before < 20
