"""From a model's name or file to an engine that runs it, or to a sentence about why not."""

from __future__ import annotations

import dataclasses
import json
import sys
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

from GDLACore.cli import options
from GDLACore.engine import DEVICES, engine_for, load_engine
from GDLACore.engine.loading import RUNTIMES
from GDLACore.engine.onnx_engine import OnnxEngine
from GDLACore.errors import DeviceError, EngineError, ModelFileError
from GDLACore.export.model_file import PRECISIONS, write_onnx_model
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


def test_weights_that_are_read_already_become_the_engine_of_their_file(files):
    several = slices(2, 70, 50)
    with load_engine(files["ckpt"], device="cpu", threads=1) as engine:
        expected = engine.scores(several)
    with engine_for(load_weights(files["ckpt"]), device="cpu", threads=1) as engine:
        assert (engine.card, engine.describe()) == (CARD, "CPU (1 thread)")
        np.testing.assert_array_equal(engine.scores(several), expected)


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


def test_pytorch_runs_a_checkpoint_if_it_is_asked_to(files, monkeypatch):
    pytest.importorskip("torch")
    from GDLACore.engine.torch_engine import TorchEngine

    several = slices(2, 70, 50)
    with load_engine(files["ckpt"], device="cpu") as engine:
        expected = engine.scores(several)
    # PyTorch needs no package to read it: the weights have been read already.
    for package in ("safetensors", "safetensors.torch"):
        monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "GDLACore.network.checkpoint", raising=False)
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
    assert isinstance(problem, OSError) or "with pip" in caught.value.hint


def test_an_unknown_runtime_or_device_is_refused(files):
    with pytest.raises(ValueError, match="auto, onnx, torch"):
        load_engine(files["onnx"], runtime="tensorflow")
    with pytest.raises(ValueError, match="auto, onnx, torch"):
        engine_for(load_weights(files["ckpt"]), runtime="tensorflow")
    with pytest.raises(DeviceError, match="'tpu'"):
        load_engine(files["onnx"], device="tpu")


def test_the_command_line_offers_every_device_runtime_and_precision():
    assert options.DEVICES == DEVICES
    assert options.RUNTIMES == RUNTIMES
    assert options.PRECISIONS == PRECISIONS


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
