"""From a model's name or file to an engine that runs it, or to a sentence about why not."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import onnxruntime
import pytest
from command_line import run_gdla
from model_files import (
    CARD,
    recipe,
    write_checkpoint,
    write_safetensors,
)
from onnx_networks import CPU, CUDA, slices

from GDLACore.cli.options import DEVICES as CHOICES
from GDLACore.engine import load_engine, loading
from GDLACore.engine.onnx_engine import OnnxEngine
from GDLACore.engine.providers import DEVICES
from GDLACore.errors import DeviceError, EngineError, ModelFileError
from GDLACore.export.model_file import write_onnx_model
from GDLACore.model.catalogue import find
from GDLACore.weights.loading import load_weights


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return one model in every kind of file."""
    folder = tmp_path_factory.mktemp("models")
    weights = recipe()
    checkpoint = write_checkpoint(folder / "model.ckpt", weights)
    return {
        "ckpt": checkpoint,
        "safetensors": write_safetensors(folder / "model.safetensors", weights),
        "onnx": write_onnx_model(folder / "model.onnx", load_weights(checkpoint)),
        "ONNX": write_onnx_model(folder / "LOUD.ONNX", load_weights(checkpoint)),
    }


def test_a_model_gives_the_same_labels_from_every_kind_of_file(files):
    several = slices(3, 70, 50)
    expected = None
    for path in files.values():
        with load_engine(path, device="cpu", threads=2) as engine:
            assert isinstance(engine, OnnxEngine)
            assert (engine.card, engine.describe()) == (CARD, "CPU (2 threads)")
            labels = engine.predict(several, "smooth")
            expected = labels if expected is None else expected
            np.testing.assert_array_equal(labels, expected)
    assert len(np.unique(expected)) > 1


def test_a_model_of_the_catalogue_loads_by_its_name():
    with load_engine("demo-ct", device="cpu", runtime="onnx") as engine:
        assert engine.card == find("demo-ct").card
        engine.warm_up()


def test_the_name_of_the_card_may_be_given_with_a_checkpoint(tmp_path):
    card = dataclasses.replace(find("synapse").card, architecture=CARD.architecture)
    path = tmp_path / "model.ckpt"
    write_checkpoint(path, recipe(card)).with_suffix(".card.json").unlink()
    with pytest.raises(ModelFileError, match="another size"):  # b0 instead of b2: it was looked up
        load_engine(path, device="cpu", card="synapse")
    with pytest.raises(ModelFileError, match="does not say which model it is"):
        load_engine(path, device="cpu")


@pytest.mark.parametrize("kind", ["onnx", "safetensors"])
def test_another_models_card_is_refused_for_a_file_with_its_own(files, kind):
    with pytest.raises(ModelFileError, match="is the model abdomen and cannot be used as synapse"):
        load_engine(files[kind], device="cpu", card="synapse")


def test_pytorch_runs_a_checkpoint_if_it_is_asked_to(files):
    pytest.importorskip("torch")
    from GDLACore.engine.torch_engine import TorchEngine

    several = slices(2, 70, 50)
    with load_engine(files["ckpt"], device="cpu") as engine:
        expected = engine.scores(several)
    with load_engine(files["ckpt"], device="cpu", runtime="torch") as engine:
        assert isinstance(engine, TorchEngine)
        np.testing.assert_allclose(engine.scores(several), expected, atol=5e-5)


def test_pytorch_cannot_run_an_onnx_file(files):
    with pytest.raises(ModelFileError, match="PyTorch cannot run") as caught:
        load_engine(files["onnx"], device="cpu", runtime="torch")
    assert "checkpoint" in caught.value.hint


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (ImportError("No module named 'timm'", name="timm"), "not installed (timm)"),
        (OSError("error 126 loading c10.dll"), "cannot be loaded: error 126 loading c10.dll"),
    ],
)
def test_a_pytorch_that_is_missing_or_broken_is_said_so(files, monkeypatch, problem, message):
    class Broken(ModuleType):
        def __getattr__(self, name):
            raise problem

    monkeypatch.setitem(sys.modules, "GDLACore.engine.torch_engine", Broken("torch_engine"))
    with pytest.raises(EngineError) as caught:
        load_engine(files["ckpt"], device="cpu", runtime="torch")
    assert message in caught.value.message and "leave out the runtime" in caught.value.hint


def test_an_unknown_runtime_or_device_is_refused(files):
    with pytest.raises(ValueError, match="auto, onnx, torch"):
        load_engine(files["onnx"], runtime="tensorflow")
    with pytest.raises(DeviceError, match="'tpu'"):
        load_engine(files["onnx"], device="tpu")
    assert CHOICES == DEVICES


@pytest.fixture
def computer(monkeypatch, files):
    """Return a function that says which engine is taken on a computer of a kind.

    Nobody may be asked for what does not matter any more: PyTorch is not imported in vain.
    """
    find_spec = importlib.util.find_spec

    def engine_on(*, torch, providers=(CPU,), memory=8 << 30, device="auto", model="ckpt") -> str:
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
        monkeypatch.setattr(loading, "OnnxEngine", lambda *_: "ONNX Runtime")
        monkeypatch.setattr(loading, "_torch_engine", lambda *_: "PyTorch")
        return load_engine(files[model], device=device)

    return engine_on


def test_pytorch_is_taken_where_only_it_can_use_the_gpu(computer):
    assert computer(torch="with GPU") == "PyTorch"
    assert computer(torch="with GPU", device="cuda") == "PyTorch"


@pytest.mark.parametrize(
    "options",
    [
        {"torch": "none"},
        {"torch": "without GPU"},
        {"torch": "with GPU", "providers": (CUDA, CPU)},
        {"torch": "with GPU", "memory": None},
        {"torch": "with GPU", "device": "cpu"},
        {"torch": "with GPU", "device": "directml"},
        {"torch": "with GPU", "model": "onnx"},
    ],
    ids=str,
)
def test_onnx_runtime_is_taken_everywhere_else(computer, options):
    assert computer(**options) == "ONNX Runtime"


def test_a_broken_pytorch_keeps_nobody_from_onnx_runtime(computer, caplog):
    assert computer(torch="broken") == "ONNX Runtime"
    assert "PyTorch is installed but cannot be loaded" in caplog.text


class WithBadGPU(ModuleType):
    """ONNX Runtime, as if built with CUDA for a GPU whose driver computes nothing but NaN."""

    def __init__(self) -> None:
        super().__init__("onnxruntime")

    def __getattr__(self, name: str) -> object:
        return getattr(onnxruntime, name)

    def get_available_providers(self) -> list[str]:
        return [CUDA, CPU]

    def preload_dlls(self) -> None:
        pass

    def InferenceSession(self, model, options=None, *, providers, **more):
        session = onnxruntime.InferenceSession(model, options, providers=[CPU], **more)
        if providers[-1] == CPU and len(providers) == 1:
            return session
        (name, settings), last = providers
        assert (name, last) == (CUDA, CPU) and isinstance(settings, dict)
        return SimpleNamespace(
            get_providers=lambda: [CUDA, CPU],
            run=lambda names, feed: [one * np.nan for one in session.run(names, feed)],
        )


@pytest.mark.parametrize(
    ("device", "wish"), [("auto", "CUDA not used"), ("cuda", "CUDA asked for")]
)
def test_a_gpu_that_computes_nan_is_left_and_the_reason_shown(
    tmp_path, files, ct, monkeypatch, capsys, device, wish
):
    arguments = ("segment", ct, "--model", files["onnx"], "--json", "--threads", 1)
    assert run_gdla(*arguments, "-o", tmp_path / "right.nrrd", "--device", "cpu") == 0
    capsys.readouterr()
    monkeypatch.setitem(sys.modules, "onnxruntime", WithBadGPU())
    assert run_gdla(*arguments, "-o", tmp_path / "o.nrrd", "--device", device) == 0
    printed = capsys.readouterr()
    expected = f"{wish}, its results are not finite numbers: running on CPU (1 thread)"
    assert json.loads(printed.out)["device"] == expected
    assert (expected in printed.err) == (device == "cuda")  # a warning to whoever asked for it
    assert (tmp_path / "o.nrrd").read_bytes() == (tmp_path / "right.nrrd").read_bytes()
