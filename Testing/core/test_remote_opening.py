"""Which model of a server is used, and that it is the one that is meant."""

from __future__ import annotations

import dataclasses
import logging
import sys
from pathlib import Path

import numpy as np
import pytest
from inference_server import InferenceServer, inference_server
from model_files import CARD, recipe, write_checkpoint, write_safetensors
from onnx_networks import slices
from served_network import ServedNetwork

from GDLACore.engine import load_engine
from GDLACore.errors import ModelFileError, ServerError
from GDLACore.model.card import Architecture, IntensityProfile, ModelCard
from GDLACore.model.catalogue import find
from GDLACore.remote import RemoteServer
from GDLACore.remote.troubles import WrongAnswer
from GDLACore.weights.safetensors_file import weights_sha256

SHA256 = weights_sha256(sorted(recipe().items()))
SERVED = dataclasses.replace(CARD, sha256=SHA256)
SLICES = slices(1, 64, 64)


def opened(server: InferenceServer, model: object, **options: object) -> object:
    return load_engine(model, server=RemoteServer(server.url), **options)


def refusal(served: ModelCard, model: object, **options: object) -> ServerError:
    """Return why the model ``served`` by a server cannot be used as ``model``."""
    with inference_server(ServedNetwork(served)) as server:
        with pytest.raises(ServerError) as caught:
            opened(server, model, **options)
        assert f"127.0.0.1:{server.port}" in caught.value.message and caught.value.hint
        assert server.inferences == []
    return caught.value


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return one model in all kinds of files, none of which tells its hash."""
    from command_line import run_gdla

    folder, weights = tmp_path_factory.mktemp("models"), recipe()
    found = {
        "ckpt": write_checkpoint(folder / "model.ckpt", weights),
        "safetensors": write_safetensors(folder / "model.safetensors", weights),
        "onnx": folder / "model.onnx",
    }
    assert run_gdla("export", found["ckpt"], "-o", found["onnx"], "--quiet") == 0
    return found


@pytest.mark.parametrize("kind", ["ckpt", "safetensors", "onnx"])
def test_a_file_of_any_kind_is_known_by_its_weights(files, kind, caplog):
    with inference_server(ServedNetwork(SERVED)) as server:
        with opened(server, files[kind]) as engine:
            assert engine.card == SERVED
            assert engine.predict(SLICES, "smooth").any()
    assert caplog.records == []
    error = refusal(dataclasses.replace(SERVED, sha256="b" * 64), files[kind])
    assert isinstance(error, WrongAnswer) and "has other weights" in error.message
    assert "b" * 12 in error.message and SHA256[:12] in error.message


def test_a_model_that_only_the_server_knows_is_used_by_the_card_that_it_tells():
    with inference_server(ServedNetwork(SERVED)) as server:
        with opened(server, "abdomen") as engine:
            assert engine.card == SERVED


def test_a_model_of_the_catalogue_needs_no_weights_here_and_no_onnx_runtime(monkeypatch, caplog):
    card = dataclasses.replace(find("synapse").card, sha256="c" * 64)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with inference_server(ServedNetwork(card, lambda images: _nothing(images, card))) as server:
        with opened(server, "synapse") as engine:
            assert engine.card.name == "synapse"
            assert engine.predict(SLICES, "smooth").shape == (1, 64, 64)
    assert caplog.records == []


def _nothing(images: np.ndarray, card: object) -> np.ndarray:
    count, _, side, _ = images.shape
    return np.zeros((count, card.classes, side, side), np.float32)


def test_a_shipped_model_is_compared_with_the_servers():
    card = find("demo-ct").card
    with inference_server(ServedNetwork(card)) as server:
        opened(server, "demo-ct").close()
    assert "other weights" in refusal(dataclasses.replace(card, sha256="d" * 64), "demo-ct").message


_SWAPPED = tuple(
    dataclasses.replace(label, value=value)
    for value, label in enumerate(reversed(CARD.labels), start=1)
)


@pytest.mark.parametrize(
    ("words", "change"),
    [
        ("version is 2.0 instead of 1.2", {"version": "2.0"}),
        ("architecture is PVTv2-b2", {"architecture": Architecture("b2", "gdla")}),
        ("number of channels is 3 instead of 1", {"in_channels": 3}),
        ("input size is 128 instead of 64", {"input_size": 128}),
        ("number of classes is 3 instead of 4", {"labels": CARD.labels[:2]}),
        ("list of structures is aorta, spleen, liver", {"labels": _SWAPPED}),
        ("resampling is antialias", {"resampling": "antialias"}),
        ("intensity profile is", {"intensity": IntensityProfile("ct_window", -100, 240)}),
        ("slice axis is", {"slice_axis": "acquisition"}),
        ("view is flip_rows", {"view": "flip_rows"}),
        ("other weights", {"sha256": "e" * 64}),
    ],
)
def test_a_model_of_the_same_name_that_is_another_is_refused(files, words, change):
    error = refusal(dataclasses.replace(SERVED, **change), files["safetensors"])
    assert isinstance(error, WrongAnswer) and words in error.message and "export" in error.hint


def test_a_card_that_the_user_gives_may_feed_images_and_name_structures_otherwise(files, tmp_path):
    fed = dataclasses.replace(
        CARD, intensity=IntensityProfile("ct_window", -100, 300), labels=_SWAPPED
    )
    path = tmp_path / "own.json"
    path.write_text(fed.to_json(), "utf-8")
    with inference_server(ServedNetwork(SERVED)) as server:
        for model in (files["onnx"], "abdomen"):
            with opened(server, model, card=path) as engine:
                assert engine.card == dataclasses.replace(fed, sha256=SHA256)
    other = dataclasses.replace(SERVED, version="7")
    assert "version is 7" in refusal(other, "abdomen", card=path).message


def test_a_card_of_another_model_is_refused(files, tmp_path):
    path = tmp_path / "own.json"
    path.write_text(CARD.to_json(), "utf-8")
    with inference_server(ServedNetwork(SERVED)) as server:
        for model, card in (("thorax", path), ("abdomen", "synapse"), (files["onnx"], "synapse")):
            with pytest.raises(ModelFileError, match="abdomen|synapse"):
                opened(server, model, card=card)
        assert server.requests == []  # which nobody has to see


def test_a_file_that_cannot_be_used_is_told_before_any_server_is_asked(tmp_path):
    with inference_server(ServedNetwork(SERVED)) as server:
        for name in ("none.onnx", "none.safetensors", "none.ckpt"):
            with pytest.raises(ModelFileError, match="none"):
                opened(server, tmp_path / name)
        assert server.requests == []


def test_a_model_that_the_server_lacks_is_told_with_those_that_it_has():
    error = refusal(SERVED, "thorax")
    assert "has no model thorax" in error.message and error.hint == "It has: abdomen."


def test_a_server_that_does_not_list_its_models_lacks_one_all_the_same():
    with inference_server(ServedNetwork(SERVED)) as server:
        server.general["/v2/repository/index"] = 404
        with pytest.raises(ServerError, match="has no model thorax") as caught:
            opened(server, "thorax")
        assert "Ask those who look after it" in caught.value.hint


def test_a_model_that_is_not_ready_is_told():
    with inference_server(ServedNetwork(SERVED, state="UNAVAILABLE")) as server:
        with pytest.raises(ServerError, match="no model abdomen that is ready") as caught:
            opened(server, "abdomen")
        assert caught.value.hint == "It has none."


@pytest.mark.parametrize("kind", ["name", "file"])
def test_a_server_that_tells_no_card_is_known_by_its_tensors_and_its_answers(files, kind):
    served = ServedNetwork(SERVED, tells_card=False)
    with inference_server(served) as server:
        server.general["/v2/models/abdomen/config"] = 404  # as of KServe and OpenVINO
        if kind == "name":
            with pytest.raises(ServerError, match="does not tell what its model abdomen is"):
                opened(server, "abdomen")
            return
        with opened(server, files["onnx"]) as engine:
            engine.predict(SLICES, "smooth")
            served.card = dataclasses.replace(SERVED, sha256="f" * 64)
            with pytest.raises(WrongAnswer, match="another model abdomen than it should"):
                engine.predict(SLICES, "smooth")
        served.metadata = {"outputs": []}
        with pytest.raises(WrongAnswer, match="has no output labels"):
            opened(server, files["onnx"])


def test_a_model_for_another_contract_is_refused():
    class Newer(ServedNetwork):
        def config(self) -> dict:
            config = super().config()
            config["parameters"]["gdla.contract"] = {"string_value": "2"}
            return config

    with inference_server(Newer(SERVED)) as server:
        with pytest.raises(WrongAnswer, match="made for version '2'"):
            opened(server, "abdomen")


@pytest.mark.parametrize("about", [[], {}, {"name": 5}, "triton", None])
def test_another_web_server_is_not_taken_for_one_of_models(about):
    with inference_server(ServedNetwork(SERVED)) as server:
        server.about = about
        with pytest.raises(ServerError, match="does not speak the Open Inference Protocol"):
            opened(server, "abdomen")


@pytest.mark.parametrize("metadata", [{"name": "other"}, {"name": None}])
def test_a_description_of_another_model_is_refused(metadata):
    with inference_server(ServedNetwork(SERVED, metadata=metadata)) as server:
        with pytest.raises(WrongAnswer, match="does not describe its model abdomen"):
            opened(server, "abdomen")


def test_weights_that_cannot_be_compared_are_warned_of_once_and_must_stay_the_same(files, caplog):
    served = ServedNetwork(CARD)
    with inference_server(served) as server, caplog.at_level(logging.WARNING):
        with opened(server, files["onnx"]) as engine:
            assert engine.card.sha256 is None  # nobody may say that it was these weights
            engine.predict(SLICES, "smooth")
            engine.predict(SLICES, "smooth")
            served.card = SERVED
            with pytest.raises(WrongAnswer, match="than it should"):
                engine.predict(SLICES, "smooth")
    (warning,) = caplog.records
    assert "cannot be checked" in warning.getMessage()


def test_a_server_without_versions_is_asked_without_one():
    served = ServedNetwork(SERVED, metadata={"versions": None})
    with inference_server(served) as server, opened(server, "abdomen") as engine:
        engine.predict(SLICES, "smooth")
        assert server.inferences[0].path == "/v2/models/abdomen/infer"
        assert engine.describe().endswith("model abdomen)")
