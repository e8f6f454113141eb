"""The PyTorch engine on the devices that there are, with the memory that they have."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from onnx_networks import slices
from phantom import make_card

pytest.importorskip("torch")

import torch
from torch_engines import SmallConvolution, make_network, make_torch_engine

from GDLACore.engine.torch_engine import TorchEngine
from GDLACore.errors import DeviceError, EngineError

NO_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("std::bad_alloc"),
]


class Narrow(SmallConvolution):
    """Fails as if memory held no more than ``most`` slices."""

    def __init__(self, card, most: int, error: Exception) -> None:
        super().__init__(card)
        self.most, self.error = most, error

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = super().forward(images)
        if len(images) > self.most:
            raise self.error
        return logits


@pytest.mark.parametrize("error", NO_MEMORY, ids=lambda e: str(e)[-25:] or type(e).__name__)
def test_out_of_memory_halves_the_batch_and_changes_nothing_else(error, caplog):
    card = make_card()
    several = slices(11, 40, 30)
    expected = TorchEngine(SmallConvolution(card), card, "cpu").predict(several, "smooth")
    network = Narrow(card, most=3, error=error)
    engine = TorchEngine(network, card, "cpu")
    engine.batch_size = 8
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(engine.predict(several, "smooth"), expected)
    assert network.asked == [8, 4, 2, 2, 2, 2, 2, 1]
    assert engine.batch_size == 2
    assert "slices go on in batches of 2" in caplog.text
    # It has learnt its lesson.
    engine.predict(several[:2], "smooth")
    assert network.asked[-1] == 2


def test_too_little_memory_for_one_slice_is_said_so():
    engine = TorchEngine(Narrow(make_card(), 0, MemoryError()), make_card(), "cpu")
    with pytest.raises(EngineError, match="one slice of 40 x 30"):
        engine.predict(slices(2, 40, 30), "smooth")


def test_a_gpu_too_small_for_one_slice_leaves_the_work_to_the_cpu(caplog):
    class SmallGPU(TorchEngine):
        def network_input(self, slices):
            if self._device.type == "cuda":
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().network_input(slices)

    card = make_card()
    several = slices(5, 40, 30)
    expected = TorchEngine(SmallConvolution(card), card, "cpu").predict(several, "smooth")
    engine = SmallGPU(SmallConvolution(card), card, "cpu")
    engine._device, engine.batch_size = torch.device("cuda"), 4
    np.testing.assert_array_equal(engine.predict(several, "smooth"), expected)
    assert engine.describe().startswith("the GPU ran out of memory: running on CPU (")
    assert "going on with the CPU" in caplog.text


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_gives_the_labels_of_the_cpu():
    card = make_card()
    several = slices(40, 70, 50)
    expected = make_torch_engine(card).predict(several, "smooth")
    with TorchEngine(make_network(card), card, "cuda") as engine:
        assert engine.describe().startswith("GPU")
        assert (engine.predict(several, "smooth") == expected).mean() > 0.999


class Weighty(SmallConvolution):
    """Cannot be brought to a GPU, because of ``error``; there is none in any case."""

    def __init__(self, card, error: Exception) -> None:
        super().__init__(card)
        self.error = error

    def to(self, device: torch.device, **options: object) -> Weighty:
        if device.type == "cuda":
            raise self.error
        return super().to(device, **options)


@pytest.fixture
def with_gpu(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", torch.backends.cudnn.allow_tf32)


@pytest.mark.parametrize("error", [NO_MEMORY[0], NO_MEMORY[4]], ids=str)
def test_a_gpu_too_small_for_the_network_leaves_the_work_to_the_cpu(with_gpu, caplog, error):
    card = make_card()
    several = slices(2, 40, 30)
    expected = TorchEngine(SmallConvolution(card), card, "cpu").predict(several, "smooth")
    engine = TorchEngine(Weighty(card, error), card)
    assert engine.on_cpu and engine.batch_size == 1
    assert engine.describe().startswith("the GPU has too little memory: running on CPU (")
    assert [record.getMessage() for record in caplog.records] == [
        "The GPU has too little memory for the network: going on with the CPU."
    ]
    np.testing.assert_array_equal(engine.predict(several, "smooth"), expected)


def test_a_gpu_that_takes_no_network_at_all_is_an_error_in_words(with_gpu):
    error = RuntimeError("CUDA error: no kernel image is available for execution on the device\n")
    with pytest.raises(EngineError, match="cannot load the network: this GPU is of a kind") as e:
        TorchEngine(Weighty(make_card(), error), make_card())
    assert e.value.hint == "Try the device cpu."


def test_the_cpu_uses_as_many_threads_as_it_is_told():
    before = torch.get_num_threads()
    try:
        engine = TorchEngine(SmallConvolution(make_card()), make_card(), "cpu", before + 1)
        assert torch.get_num_threads() == before + 1
        assert engine.describe() == f"CPU ({before + 1} threads)"
    finally:
        torch.set_num_threads(before)
    TorchEngine(SmallConvolution(make_card()), make_card(), "cpu")
    assert torch.get_num_threads() == before


def test_other_failures_of_the_network_are_engine_errors_in_one_sentence():
    error = RuntimeError("wrong size\nin /home/jane/x.py")
    engine = TorchEngine(Narrow(make_card(), 0, error), make_card(), "cpu")
    with pytest.raises(EngineError) as caught:
        engine.predict(slices(2, 40, 30), "smooth")
    assert str(caught.value) == "The network failed: wrong size."


def test_devices_that_cannot_be_there_are_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    network = SmallConvolution(make_card())
    with pytest.raises(DeviceError, match="built without CUDA"):
        TorchEngine(network, make_card(), "cuda")
    with pytest.raises(DeviceError, match="tpu"):
        TorchEngine(network, make_card(), "tpu")
    described = TorchEngine(network, make_card(), "auto").describe()
    assert described.startswith("this PyTorch is without CUDA: running on CPU (")


def test_a_gpu_asked_for_in_vain_is_answered_by_the_cpu_and_the_reason(monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "12.6")
    engine = TorchEngine(SmallConvolution(make_card()), make_card(), "cuda")
    assert engine.describe().startswith("CUDA asked for, no GPU found: running on CPU (")
    assert "no GPU found" in caplog.text
