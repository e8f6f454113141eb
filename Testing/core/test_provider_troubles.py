"""A GPU that opens and runs, and is not to be trusted all the same."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
from fake_runtime import CPU, CUDA, DIRECTML, RIGHT, Behaviour, FakeRuntime, open_fake

from GDLACore.errors import EngineError

TROUBLES = {
    "NaN": (
        Behaviour(result=np.full_like(RIGHT, np.nan)),
        "its results are not finite numbers",
    ),
    "one infinity": (
        Behaviour(result=np.where(RIGHT == RIGHT.max(), np.inf, RIGHT)),
        "its results are not finite numbers",
    ),
    "another number": (Behaviour(result=RIGHT + 1), "its results are wrong"),
    "three per cent more": (Behaviour(result=RIGHT * 1.03), "its results are wrong"),
    "all zeros": (Behaviour(result=np.zeros_like(RIGHT)), "its results are wrong"),
    "another shape": (Behaviour(result=RIGHT[:, :1]), "its results are of another size"),
    "old GPU": (
        Behaviour(fails_to_open=RuntimeError(r"D:\a\_work\dml.cc(520)\onnxruntime.dll 887A0004")),
        "the GPU does not know DirectX 12",
    ),
    "full GPU": (
        Behaviour(fails_to_run=RuntimeError("CUDA failure 2: out of memory ; GPU=0")),
        "the GPU has too little free memory",
    ),
    "no memory": (Behaviour(fails_to_run=MemoryError()), "the GPU has too little free memory"),
    "half an installation": (
        Behaviour(leaves=7),
        "it leaves 7 of 10 large operations to the CPU",
    ),
    "the engine's own word": (
        Behaviour(fails_to_run=EngineError("The results are odd.", "Try.")),
        "the results are odd",
    ),
}


@pytest.mark.parametrize("device", ["auto", "directml"])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_gpu_in_trouble_is_left_for_the_cpu_and_the_reason_given(monkeypatch, trouble, device):
    behaviour, words = TROUBLES[trouble]
    opened = open_fake(monkeypatch, FakeRuntime({DIRECTML: [behaviour]}), device)
    assert opened.provider == CPU
    assert opened.reason.startswith("DirectML ")
    assert opened.reason.endswith(words)


def test_the_memory_of_a_refused_gpu_is_given_back(monkeypatch):
    sessions = []
    runtime = FakeRuntime({CUDA: [Behaviour(result=RIGHT * np.nan)]})
    runtime.sessions = lambda session: sessions.append(weakref.ref(session))
    opened = open_fake(monkeypatch, runtime)
    assert opened.provider == CPU
    assert [reference() is None for reference in sessions] == [False, True]
