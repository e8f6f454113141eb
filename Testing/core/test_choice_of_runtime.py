"""ONNX Runtime or PyTorch: whichever can use the GPU, and ONNX Runtime if in doubt."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from model_files import onnx_file, recipe, write_checkpoint
from onnx_networks import CPU, CUDA, DIRECTML, OPENVINO, TENSORRT

from GDLACore.engine import load_engine, loading


class OnPyTorch:
    """A stand-in for the PyTorch engine on a GPU, with which there may be ``trouble``."""

    def __init__(self, trouble: Exception | str) -> None:
        self._trouble = trouble
        self.on_cpu = False
        self.closed = False

    def warm_up(self) -> None:
        if isinstance(self._trouble, Exception):
            raise self._trouble
        self.on_cpu = self._trouble == "too little memory"

    def __enter__(self) -> OnPyTorch:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "model.ckpt", recipe())


@pytest.fixture
def computer(monkeypatch, checkpoint):
    """Return a function that says which engine is taken on a computer of a kind.

    Nobody may be asked for what does not matter any more: PyTorch is not imported in vain.
    """
    find_spec = importlib.util.find_spec
    checkpoint.with_suffix(".onnx").write_bytes(onnx_file())

    def engine_on(
        *, torch, providers=(CPU,), memory=8 << 30, device="auto", model="ckpt", trouble=""
    ) -> str:
        class Torch(ModuleType):
            def __getattr__(self, name):
                if name.startswith("__"):
                    raise AttributeError(name)
                assert name == "cuda" and memory is not None, "PyTorch was imported in vain"
                return SimpleNamespace(is_available=lambda: torch == "with GPU")

        def find(name):
            if name != "torch":
                return find_spec(name)
            return None if torch == "none" else ModuleSpec("torch", None)

        runtime = SimpleNamespace(get_available_providers=lambda: list(providers))
        monkeypatch.setattr(importlib.util, "find_spec", find)
        monkeypatch.setitem(sys.modules, "torch", None if torch == "broken" else Torch("torch"))
        monkeypatch.setattr(loading, "onnx_runtime", lambda: runtime)
        monkeypatch.setattr(loading, "free_gpu_memory", lambda: memory)
        monkeypatch.setattr(loading, "OnnxEngine", lambda *given: f"ONNX Runtime on {given[2]}")
        on_pytorch = OnPyTorch(trouble)
        monkeypatch.setattr(loading, "_torch_engine", lambda *_: on_pytorch)
        engine = load_engine(checkpoint.with_suffix(f".{model}"), device=device)
        assert on_pytorch.closed == (engine is not on_pytorch and bool(trouble))
        return "PyTorch" if engine is on_pytorch else engine

    return engine_on


@pytest.mark.parametrize("providers", [(CPU,), ("AzureExecutionProvider", CPU)])
@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_pytorch_is_taken_where_only_it_can_use_the_gpu(computer, device, providers):
    assert computer(torch="with GPU", device=device, providers=providers) == "PyTorch"


@pytest.mark.parametrize(
    "options",
    [
        {"torch": "none"},
        {"torch": "without GPU"},
        {"torch": "with GPU", "providers": (CUDA, CPU)},
        {"torch": "with GPU", "providers": (DIRECTML, CPU)},
        {"torch": "with GPU", "providers": (OPENVINO, CPU), "device": "cuda"},
        {"torch": "with GPU", "providers": (TENSORRT, CPU)},
        {"torch": "with GPU", "memory": None},
        {"torch": "with GPU", "device": "cpu"},
        {"torch": "with GPU", "device": "directml"},
        {"torch": "with GPU", "model": "onnx"},
    ],
    ids=str,
)
def test_onnx_runtime_is_taken_everywhere_else(computer, options):
    assert computer(**options) == f"ONNX Runtime on {options.get('device', 'auto')}"


TROUBLES = {
    "CUDA error: no kernel image is available for execution on the device\nFor debugging": (
        "PyTorch cannot use the GPU (this GPU is of a kind that it was not built for): going on "
        "with ONNX Runtime."
    ),
    "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total": (
        "PyTorch cannot use the GPU (the GPU has too little free memory): going on with ONNX "
        "Runtime."
    ),
}


@pytest.mark.parametrize("device", ["auto", "cuda"])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_gpu_that_pytorch_cannot_use_after_all_is_left_with_one_warning(
    computer, caplog, trouble, device
):
    error = RuntimeError(trouble)
    # On "auto", for ONNX Runtime's build was chosen for another processor than CUDA.
    found = computer(torch="with GPU", device=device, trouble=error)
    assert found == "ONNX Runtime on auto"
    assert [record.getMessage() for record in caplog.records] == [TROUBLES[trouble]]


def test_a_package_that_pytorch_lacks_for_the_network_is_named_in_the_warning(
    computer, checkpoint, monkeypatch, caplog
):
    class Broken(ModuleType):
        def __getattr__(self, name):
            raise ImportError("No module named 'timm'", name="timm")

    torch_engine = loading._torch_engine
    computer(torch="with GPU")
    monkeypatch.setattr(loading, "_torch_engine", torch_engine)
    monkeypatch.setitem(sys.modules, "GDLACore.engine.torch_engine", Broken("torch_engine"))
    assert load_engine(checkpoint) == "ONNX Runtime on auto"
    assert [record.getMessage() for record in caplog.records] == [
        "PyTorch cannot use the GPU (running a model in PyTorch needs a package that is not "
        "installed (timm)): going on with ONNX Runtime."
    ]


def test_pytorch_on_the_cpu_for_want_of_memory_is_not_preferred_either(computer, caplog):
    found = computer(torch="with GPU", trouble="too little memory")
    assert found == "ONNX Runtime on auto"
    assert not caplog.records  # PyTorch's engine has said it


def test_a_broken_pytorch_keeps_nobody_from_onnx_runtime(computer, caplog):
    assert computer(torch="broken") == "ONNX Runtime on auto"
    assert "PyTorch is installed but cannot be loaded" in caplog.text
