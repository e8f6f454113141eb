"""A model's weights load without PyTorch, and what does not fit together says why."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import golden
import numpy as np
import pytest
from phantom import make_card
from refusals import refusal
from torch_files import legacy_file, zip_file

from GDLACore.errors import ModelFileError
from GDLACore.model.bundle import CARD_KEY
from GDLACore.model.card import Architecture, ModelCard
from GDLACore.model.catalogue import find
from GDLACore.weights.loading import load_weights
from GDLACore.weights.names import network_name
from GDLACore.weights.safetensors_file import weights_sha256
from GDLACore.weights.shapes import weight_shapes

ROOT = Path(__file__).resolve().parents[2]

CARD = make_card()  # PVTv2-b0, gdla, 1 channel, 4 classes

Weights = dict[str, np.ndarray]


def shapes_for(card: ModelCard) -> dict[str, tuple[int, ...]]:
    return weight_shapes(card.architecture, card.in_channels, card.classes)


def official_file(weights: Weights, make: Callable = zip_file) -> bytes:
    """Return what the authors' training writes and releases."""
    return make({"model_state_dict": weights, "epoch": 149, "best_dice": np.float32(0.83)})


def model_file(weights: Weights, card: ModelCard = CARD) -> bytes:
    """Return one of our own model files."""
    header: dict[str, object] = {"__metadata__": {CARD_KEY: card.to_json()}}
    position = 0
    for name, value in weights.items():
        place = [position, position := position + value.nbytes]
        kind = {"float16": "F16", "float32": "F32"}[value.dtype.name]
        header[name] = {"dtype": kind, "shape": value.shape, "data_offsets": place}
    text = json.dumps(header).encode()
    return b"".join(
        [struct.pack("<Q", len(text)), text, *(value.tobytes() for value in weights.values())]
    )


@pytest.fixture(scope="module")
def weights() -> Weights:
    """Return weights of the network of ``CARD`` under our names."""
    return golden.recipe_weights(shapes_for(CARD))


@pytest.fixture(scope="module")
def official() -> Weights:
    """Return the weights of the authors' Synapse checkpoint by the recipe, under their names."""
    return golden.recipe_weights(golden.official_shapes("pvtgdla"))


@pytest.fixture
def checkpoint(tmp_path: Path, weights: Weights) -> Callable[..., Path]:
    """Return a function that writes weights, changed or not, and ``CARD`` beside them."""

    def write(changed: Weights = weights, card: ModelCard = CARD) -> Path:
        (tmp_path / "model.card.json").write_text(card.to_json(), encoding="utf-8")
        path = tmp_path / "model.ckpt"
        path.write_bytes(official_file(changed))
        return path

    return write


@pytest.fixture
def synapse(tmp_path: Path, official: Weights) -> Path:
    """Return a file like the authors' Synapse checkpoint, 129 MB, without a card."""
    path = tmp_path / "synapse_best.ckpt"
    path.write_bytes(official_file(official))
    return path


def loaded_refusal(path: Path, card: str | None = None) -> str:
    return refusal(path, partial(load_weights, card=card))


def assert_fits(tensors: Weights, card: ModelCard) -> None:
    assert [(name, value.shape) for name, value in tensors.items()] == list(
        shapes_for(card).items()
    )
    assert {value.dtype for value in tensors.values()} == {np.dtype(np.float32)}
    assert all(value.flags.c_contiguous for value in tensors.values())


@pytest.mark.parametrize("make", [zip_file, legacy_file], ids=["zip", "before PyTorch 1.6"])
def test_an_authors_checkpoint_gives_its_weights_by_our_names(
    tmp_path: Path, official: Weights, make: Callable
) -> None:
    path = tmp_path / "synapse_best.ckpt"
    path.write_bytes(official_file(official, make))
    loaded = load_weights(path, "synapse")
    assert loaded.card == find("synapse").card and loaded.path == path
    assert_fits(loaded.tensors, loaded.card)
    ours = {network_name(name): value for name, value in official.items()}
    assert all(np.array_equal(value, ours[name]) for name, value in loaded.tensors.items())


def test_the_demonstration_model_loads_by_its_name_and_fits_its_hash() -> None:
    loaded = load_weights("demo-ct")
    assert_fits(loaded.tensors, loaded.card)
    assert loaded.card.sha256 is not None


LOAD_WITHOUT_TORCH = """
import sys

class OnlyNumpy:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top not in sys.stdlib_module_names and top not in {"numpy", "GDLACore"}:
            raise ImportError(f"{name} is not allowed here")

sys.meta_path.insert(0, OnlyNumpy())

from GDLACore.weights.loading import load_weights

for model in sys.argv[1:]:
    print(len(load_weights(model).tensors))
"""


def test_models_load_where_there_is_only_numpy(checkpoint: Callable[..., Path]) -> None:
    path = checkpoint()
    result = subprocess.run(
        [sys.executable, "-c", LOAD_WITHOUT_TORCH, str(path), "demo-ct"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    demo = find("demo-ct").card
    assert result.stdout.split() == [str(len(shapes_for(CARD))), str(len(shapes_for(demo)))]


def test_loading_takes_little_more_memory_than_the_weights(synapse: Path) -> None:
    tracemalloc.start()
    try:
        load_weights(synapse, "synapse")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.1 * synapse.stat().st_size


def test_the_card_beside_a_checkpoint_is_found(
    checkpoint: Callable[..., Path], weights: Weights
) -> None:
    loaded = load_weights(str(checkpoint()))
    assert loaded.card == CARD
    assert all(np.array_equal(value, weights[name]) for name, value in loaded.tensors.items())


def test_weights_saved_on_several_gpus_load(
    checkpoint: Callable[..., Path], weights: Weights
) -> None:
    path = checkpoint({f"module.{name}": value for name, value in weights.items()})
    loaded = load_weights(path)
    assert np.array_equal(loaded.tensors["head.weight"], weights["head.weight"])


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_weights_of_any_precision_become_single(
    checkpoint: Callable[..., Path], weights: Weights, dtype: type
) -> None:
    loaded = load_weights(checkpoint({n: v.astype(dtype) for n, v in weights.items()}))
    assert_fits(loaded.tensors, CARD)
    np.testing.assert_allclose(loaded.tensors["head.weight"], weights["head.weight"], rtol=0.001)


def test_weights_that_lie_across_their_memory_are_put_in_order(
    checkpoint: Callable[..., Path], weights: Weights
) -> None:
    name = "decoder.0.block.attn.qkvg.weight"
    across = np.ascontiguousarray(weights[name].T).T
    assert not across.flags.c_contiguous
    loaded = load_weights(checkpoint({**weights, name: across}))
    assert_fits(loaded.tensors, CARD)
    assert np.array_equal(loaded.tensors[name], weights[name])


def test_a_model_file_gives_its_own_card(tmp_path: Path, weights: Weights) -> None:
    path = tmp_path / "model.safetensors"
    half = {name: value.astype(np.float16) for name, value in weights.items()}
    checksum = weights_sha256((name, half[name]) for name in sorted(half))
    path.write_bytes(model_file(half, replace(CARD, sha256=checksum)))
    loaded = load_weights(path)
    assert_fits(loaded.tensors, CARD)
    assert loaded.card == replace(CARD, sha256=checksum)
    message = loaded_refusal(path, "synapse")
    assert "is the model abdomen and cannot be used as synapse" in message


def test_a_changed_bit_in_a_model_file_is_noticed(tmp_path: Path, weights: Weights) -> None:
    path = tmp_path / "model.safetensors"
    checksum = weights_sha256((name, weights[name]) for name in sorted(weights))
    data = bytearray(model_file(weights, replace(CARD, sha256=checksum)))
    data[-1000] ^= 1
    path.write_bytes(data)
    assert "is damaged: its weights are not those" in loaded_refusal(path)


def test_a_checkpoint_without_a_card_lists_the_cards_that_fit(synapse: Path) -> None:
    with pytest.raises(ModelFileError) as caught:
        load_weights(synapse)
    assert caught.value.message == f"{synapse} does not say which model it is."
    assert caught.value.hint == "Name its card (synapse) or put synapse_best.card.json beside it."


def test_a_checkpoint_without_a_card_that_fits_asks_for_its_own(
    tmp_path: Path, weights: Weights
) -> None:
    path = tmp_path / "model.ckpt"
    path.write_bytes(official_file({**weights, "head.weight": np.ones((99, 32, 1, 1))}))
    with pytest.raises(ModelFileError) as caught:
        load_weights(path)
    assert caught.value.hint == "Put its card, model.card.json, beside it."


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is not valid JSON"), ("{}", "schema"), (b"\xff\xfe".decode("latin-1"), "JSON")],
)
def test_a_damaged_card_beside_a_checkpoint_is_named(
    checkpoint: Callable[..., Path], text: str, message: str
) -> None:
    path = checkpoint()
    beside = path.with_name("model.card.json")
    beside.write_text(text, encoding="latin-1")
    assert message in refusal(beside, lambda _: load_weights(path))


def test_the_card_of_another_task_is_refused(synapse: Path) -> None:
    message = loaded_refusal(synapse, "acdc")
    assert "is a network for 9 classes (background included), but the card acdc says 4" in message


def test_the_card_of_a_colour_model_is_refused_for_a_grey_network(
    checkpoint: Callable[..., Path],
) -> None:
    path = checkpoint(card=replace(CARD, in_channels=3))
    assert "is a network for 1 input channels, but the card abdomen says 3" in loaded_refusal(path)


@pytest.mark.parametrize(
    ("made_for", "card_says", "message"),
    [
        ("softmax", "gdla", "with the softmax or linear mixer, but the card abdomen says gdla"),
        ("linear", "differential", "with the softmax or linear mixer, but the card"),
        ("differential", "gdla", "with the differential mixer, but the card"),
        ("gdla", "softmax", "with the gdla mixer, but the card abdomen says softmax"),
    ],
)
def test_the_card_of_another_mixer_is_refused(
    checkpoint: Callable[..., Path], made_for: str, card_says: str, message: str
) -> None:
    made = replace(CARD, architecture=Architecture("b0", made_for))
    said = replace(CARD, architecture=Architecture("b0", card_says))
    assert message in loaded_refusal(checkpoint(golden.recipe_weights(shapes_for(made)), said))


def test_the_card_of_another_encoder_is_refused(checkpoint: Callable[..., Path]) -> None:
    path = checkpoint(card=replace(CARD, architecture=Architecture("b1", "gdla")))
    assert (
        "holds a PVTv2 of another size: 2, 2, 2, 2 blocks of first width 32 "
        "instead of 2, 2, 2, 2 blocks of first width 64" in loaded_refusal(path)
    )


def without(*names: str) -> Callable[[Weights], Weights]:
    return lambda w: {n: v for n, v in w.items() if not n.startswith(names)}


def with_value(name: str, value: Callable[[np.ndarray], np.ndarray]) -> Callable:
    return lambda w: {**w, name: value(w[name])}


VARIANCE = "stem.norm2.running_var holds variances below zero"
RESNET = {"conv1.weight": np.ones((4, 3, 7, 7)), "layer1.0.conv1.weight": np.ones((4, 4, 3, 3))}
CONVNEXT = {"stem.0.weight": np.ones(4), "head.fc.weight": np.ones((4, 4))}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("decoder.1.up"), "it lacks 1 of its "),
        (without("stem.", "decoder.0."), "weights ('decoder.0.block."),
        (lambda w: {**w, "extra.weight": np.ones(1)}, "it holds 1 weights that it"),
        (lambda w: {**w, "\x1b[31m\n": np.ones(1)}, "that it does not have ('\\x1b[31m\\n', …)"),
        (lambda w: {**w, "head1.bias": w["head.bias"]}, "the weights of two networks"),
        (with_value("stem.conv2.weight", lambda v: v[:3]), "stem.conv2.weight has the shape (3, "),
        (with_value("head.bias", lambda v: v * np.nan), "not finite numbers, first in head.bias"),
        (with_value("head.bias", lambda v: v * np.inf), "not finite numbers, first in head.bias"),
        (with_value("stem.norm1.running_var", lambda v: v * np.inf), "not finite numbers"),
        (with_value("stem.norm2.running_var", lambda v: v - 2 * v.max()), VARIANCE),
        (with_value("stem.norm2.running_var", lambda v: v * 0 - 1e-6), VARIANCE),
        (with_value("head.bias", lambda v: v.astype("f8") * 1e300), "not finite numbers"),
        (with_value("head.bias", lambda v: v.astype("i4")), "holds int32 instead of floating"),
        (with_value("head.bias", lambda v: v > 0), "holds bool instead of floating"),
        (with_value("head.bias", lambda v: v.astype("c8")), "holds complex64 instead of float"),
        (without("decoder.", "stem.", "head."), "only a PVTv2 encoder"),
        (lambda w: {f"network.{n}": v for n, v in w.items()}, "is the state of a training"),
        (lambda _: RESNET, "holds another network"),
        (lambda _: CONVNEXT, "holds another network"),
    ],
)
def test_weights_that_do_not_fit_say_why(
    checkpoint: Callable[..., Path],
    weights: Weights,
    change: Callable[[Weights], Weights],
    message: str,
) -> None:
    assert message in loaded_refusal(checkpoint(change(weights)))


def test_variances_of_nothing_are_sound(checkpoint: Callable[..., Path], weights: Weights) -> None:
    path = checkpoint({**weights, "stem.norm2.running_var": weights["stem.norm2.running_var"] * 0})
    assert not load_weights(path).tensors["stem.norm2.running_var"].any()


def test_a_name_that_is_no_file_is_looked_up_in_the_catalogue() -> None:
    with pytest.raises(ModelFileError, match="No model is called 'sinapse'. Did you mean synapse"):
        load_weights("sinapse")
    with pytest.raises(ModelFileError, match="The checkpoint of synapse is not on this computer"):
        load_weights("synapse")


def test_a_folder_of_a_models_name_does_not_hide_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "synapse").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelFileError, match="not on this computer"):
        load_weights("synapse")


def test_an_unknown_card_name_is_refused(checkpoint: Callable[..., Path]) -> None:
    with pytest.raises(ModelFileError, match="No model is called 'lungs'"):
        load_weights(checkpoint(), "lungs")


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_missing_and_empty_files_and_folders_are_refused_before_anything_else(
    tmp_path: Path, suffix: str
) -> None:
    assert "does not exist" in loaded_refusal(tmp_path / f"missing{suffix}")
    (tmp_path / f"empty{suffix}").touch()
    assert "is empty" in loaded_refusal(tmp_path / f"empty{suffix}")
    (tmp_path / f"folder{suffix}").mkdir()
    assert "is a folder" in loaded_refusal(tmp_path / f"folder{suffix}")
