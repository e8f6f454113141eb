"""The choice of a processor: by one slice that is run, and never in silence."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_runtime import (
    CPU,
    CUDA,
    DIRECTML,
    NO_CUDNN,
    NO_INTEL_GPU,
    OPENVINO,
    RIGHT,
    TENSORRT,
    Behaviour,
    FakeRuntime,
    open_fake,
)

from GDLACore.engine import remedy
from GDLACore.engine.providers import DEVICES, open_session
from GDLACore.errors import DeviceError, EngineError
from GDLACore.export.graph import Graph
from GDLACore.installation import InstalledBuild


def small_model() -> bytes:
    """Return an ONNX file that doubles its ``image``."""
    graph = Graph("small")
    image = graph.input("image", ["n", 1, "h", "w"])
    graph.output(graph("Add", image, image), "logits", ["n", 1, "h", "w"])
    return graph.to_bytes({})


def double(session) -> np.ndarray:
    return session.run(["logits"], {"image": np.ones((1, 1, 2, 2), np.float32)})[0]


@pytest.mark.parametrize("at_a_time, words", [(1, "CPU (1 thread)"), (2, "CPU (2 threads)")])
def test_the_real_runtime_runs_every_slice_on_a_core_of_its_own(at_a_time, words):
    opened = open_session(small_model(), device="cpu", at_a_time=at_a_time, probe=double)
    options = opened.session.get_session_options()
    assert options.intra_op_num_threads == options.inter_op_num_threads == 1
    assert not opened.on_gpu
    assert (opened.provider, opened.device, opened.reason) == (CPU, words, "")
    assert opened.description == words
    np.testing.assert_array_equal(double(opened.session), np.full((1, 1, 2, 2), 2))


def test_a_model_is_opened_from_a_file(tmp_path: Path):
    path = tmp_path / "größe 模型.onnx"
    path.write_bytes(small_model())
    opened = open_session(path, at_a_time=1, probe=double)
    np.testing.assert_array_equal(double(opened.session), np.full((1, 1, 2, 2), 2))


def test_a_session_keeps_no_second_copy_of_the_model():
    model = small_model()
    before = sys.getrefcount(model)
    opened = open_session(model, device="cpu", at_a_time=1, probe=double)
    assert sys.getrefcount(model) == before
    double(opened.session)  # which does not need it


def test_running_a_network_leaves_the_hosts_arithmetic_as_it_was():
    smallest = np.array([1e-40], np.float32)
    assert smallest * np.float32(0.5) != 0
    double(open_session(small_model(), at_a_time=1, probe=double).session)
    assert smallest * np.float32(0.5) != 0


def test_an_unknown_device_is_refused_with_those_that_there_are():
    with pytest.raises(DeviceError, match="'gpu'") as caught:
        open_session(small_model(), device="gpu", at_a_time=1, probe=double)
    assert all(device in caught.value.hint for device in DEVICES)


@pytest.mark.parametrize(
    "device, name",
    [
        ("cuda", "CUDA"),
        ("tensorrt", "TensorRT"),
        ("directml", "DirectML"),
        ("openvino", "OpenVINO"),
        ("coreml", "CoreML"),
    ],
)
def test_a_device_that_the_runtime_is_built_without_is_refused(monkeypatch, device, name):
    whole = (InstalledBuild("onnxruntime", "1.99.0", True),)
    monkeypatch.setattr(remedy, "installed_builds", lambda: whole)
    with pytest.raises(DeviceError, match=f"Runtime 1.99.0 is built without {name}") as caught:
        open_fake(monkeypatch, FakeRuntime({}), device)
    assert "onnxruntime" in caught.value.hint and "the device auto or cpu" in caught.value.hint


def test_a_gpu_that_gives_the_right_result_sooner_is_taken(monkeypatch):
    runtime = FakeRuntime({CUDA: [Behaviour(seconds=0.1)]})
    opened = open_fake(monkeypatch, runtime)
    assert (opened.provider, opened.description) == (CUDA, "GPU (CUDA)")
    assert runtime.preloaded
    assert dict(runtime.opened[-1][0][:1])[CUDA]["use_tf32"] == "0"


def test_a_missing_library_is_named_and_the_cpu_used_in_place_of_a_gpu_asked_for(
    monkeypatch, caplog, capfd
):
    runtime = FakeRuntime({CUDA: [Behaviour(becomes_cpu=NO_CUDNN)]})
    opened = open_fake(monkeypatch, runtime, "cuda")
    expected = "CUDA asked for, libcudnn.so.9 missing: running on CPU (2 threads)"
    assert opened.description == expected
    assert opened.provider == CPU
    assert [record.getMessage() for record in caplog.records] == [f"{expected}."]
    assert capfd.readouterr() == ("", "")


def test_a_missing_library_is_no_warning_where_nobody_asked_for_the_gpu(monkeypatch, caplog):
    runtime = FakeRuntime({CUDA: [Behaviour(becomes_cpu=NO_CUDNN)]})
    opened = open_fake(monkeypatch, runtime)
    assert opened.reason == "CUDA not used, libcudnn.so.9 missing"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_provider_that_becomes_the_cpu_without_a_word_is_noticed(monkeypatch):
    opened = open_fake(monkeypatch, FakeRuntime({CUDA: [Behaviour(becomes_cpu="")]}), "cuda")
    assert opened.reason == "CUDA asked for, no reason is given"
    assert opened.provider == CPU


def test_rounding_to_half_precision_is_no_wrong_result(monkeypatch):
    rounded = RIGHT.astype(np.float16).astype(np.float32)
    runtime = FakeRuntime({CUDA: [Behaviour(result=rounded, seconds=0.1)]})
    assert open_fake(monkeypatch, runtime).provider == CUDA


@pytest.mark.parametrize("different, provider", [(4, CUDA), (6, CPU)])
def test_of_the_labels_rounding_may_change_one_in_200(monkeypatch, different, provider):
    logits = np.full((1, 2, 1, 1000), 8, np.float32)
    logits[:, 0] += 0.01
    turned = logits.copy()
    turned[..., :different] = logits[:, ::-1, :, :different]
    behaviours = {CUDA: [Behaviour(result=turned, seconds=0.1)]}
    opened = open_fake(monkeypatch, FakeRuntime(behaviours, Behaviour(result=logits)))
    assert opened.provider == provider
    assert opened.reason == ("" if provider == CUDA else "CUDA not used, its results are wrong")


@pytest.mark.parametrize("seconds", [1.5, 0.5, 0.4])
def test_a_gpu_that_gains_little_over_the_cpu_is_taken_only_when_asked_for(monkeypatch, seconds):
    def runtime() -> FakeRuntime:
        return FakeRuntime({DIRECTML: [Behaviour(seconds=seconds)]})

    automatic = open_fake(monkeypatch, runtime())
    assert automatic.provider == CPU
    expected = f"DirectML not used, too slow ({seconds:.2g} s a slice, the CPU 0.5 s)"
    assert automatic.reason == expected
    assert open_fake(monkeypatch, runtime(), "directml").provider == DIRECTML


def test_one_slice_that_something_else_held_up_does_not_decide(monkeypatch):
    # The first run of all is not timed.
    held_up = Behaviour(seconds=0.1, delays=[9.0, 9.0, 9.0])
    assert open_fake(monkeypatch, FakeRuntime({CUDA: [held_up]})).provider == CUDA


def test_a_gpu_must_outdo_all_the_slices_that_the_cpu_runs_side_by_side(monkeypatch):
    behaviours = {CUDA: [Behaviour(seconds=0.3)]}
    assert open_fake(monkeypatch, FakeRuntime(behaviours), at_a_time=2).provider == CUDA
    assert open_fake(monkeypatch, FakeRuntime(behaviours), at_a_time=4).provider == CPU


def test_openvino_runs_on_the_cpu_where_there_is_no_gpu_for_it(monkeypatch):
    behaviours = [Behaviour(becomes_cpu=NO_INTEL_GPU), Behaviour(seconds=0.15)]
    runtime = FakeRuntime({OPENVINO: behaviours})
    opened = open_fake(monkeypatch, runtime, at_a_time=4)
    assert (opened.provider, opened.description) == (OPENVINO, "CPU (OpenVINO)")
    assert not opened.on_gpu
    # It divides one slice among all the cores that would have run several.
    assert runtime.opened[-1][0][0][1]["num_of_threads"] == "4"


def test_the_next_provider_is_tried_when_the_first_is_refused(monkeypatch):
    behaviours = {CUDA: [Behaviour(becomes_cpu=NO_CUDNN)], OPENVINO: [Behaviour(seconds=0.3)]}
    opened = open_fake(monkeypatch, FakeRuntime(behaviours))
    expected = "CUDA not used, libcudnn.so.9 missing: running on GPU (OpenVINO)"
    assert opened.description == expected
    assert opened.on_gpu


def test_every_provider_refused_is_accounted_for(monkeypatch):
    behaviours = {
        CUDA: [Behaviour(becomes_cpu=NO_CUDNN)],
        OPENVINO: [Behaviour(becomes_cpu=NO_INTEL_GPU), Behaviour(seconds=2.0)],
    }
    assert open_fake(monkeypatch, FakeRuntime(behaviours)).reason == (
        "CUDA not used, libcudnn.so.9 missing; "
        "OpenVINO not used, too slow (2 s a slice, the CPU 0.5 s)"
    )


def test_tensorrt_is_tried_only_when_asked_for_and_with_cuda_behind_it(monkeypatch):
    behaviours = {TENSORRT: [Behaviour()], CUDA: [Behaviour(seconds=0.1)]}
    assert open_fake(monkeypatch, FakeRuntime(behaviours)).provider == CUDA
    runtime = FakeRuntime(behaviours)
    assert open_fake(monkeypatch, runtime, "tensorrt").device == "GPU (TensorRT)"
    assert [entry[0] for entry in runtime.opened[-1][0][:2]] == [TENSORRT, CUDA]


def test_directml_is_told_not_to_plan_memory_twice_nor_run_twice_at_a_time(monkeypatch):
    runtime = FakeRuntime({DIRECTML: [Behaviour(seconds=0.1)]})
    opened = open_fake(monkeypatch, runtime)
    assert [options.enable_mem_pattern for _, options in runtime.opened] == [True, False]
    assert not opened.concurrent
    assert open_fake(monkeypatch, FakeRuntime({}), "cpu").concurrent


def test_asking_for_the_cpu_tries_nothing_else(monkeypatch):
    runtime = FakeRuntime({CUDA: [Behaviour()]})
    assert open_fake(monkeypatch, runtime, "cpu").provider == CPU
    assert len(runtime.opened) == 1


def test_stopping_the_program_is_no_trouble_of_the_gpu(monkeypatch):
    runtime = FakeRuntime({CUDA: [Behaviour(fails_to_run=KeyboardInterrupt())]})
    with pytest.raises(KeyboardInterrupt):
        open_fake(monkeypatch, runtime)


def test_a_file_that_is_no_model_is_named(tmp_path: Path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(EngineError, match="cannot run .*model.onnx: ") as caught:
        open_session(path, at_a_time=1, probe=double)
    assert "\n" not in caught.value.message
    with pytest.raises(EngineError, match="cannot run the network: "):
        open_session(b"no model", at_a_time=1, probe=double)


def test_a_network_that_fails_even_on_the_cpu_is_an_error_in_words(monkeypatch):
    broken = Behaviour(result=RIGHT * np.nan)
    with pytest.raises(EngineError, match="not finite numbers"):
        open_fake(monkeypatch, FakeRuntime({}, broken))
    with pytest.raises(EngineError, match="not enough memory"):
        open_fake(monkeypatch, FakeRuntime({}, Behaviour(fails_to_run=MemoryError())))


def test_what_the_engine_says_of_a_failure_on_the_cpu_is_passed_on(monkeypatch):
    error = EngineError("The slice is odd.", "Choose another.")
    with pytest.raises(EngineError) as caught:
        open_fake(monkeypatch, FakeRuntime({}, Behaviour(fails_to_run=error)))
    assert caught.value is error
