"""The authors' checkpoints load exactly, and what does not fit says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import golden
import numpy as np
import pytest
import torch
from networks import official_weights, seeded
from phantom import make_card
from refusals import refusal
from torch import Tensor, nn

from GDLACore.errors import ModelFileError
from GDLACore.model.card import Architecture, ModelCard
from GDLACore.model.catalogue import find
from GDLACore.network.checkpoint import build_network, load_model

CARD = make_card()  # PVTv2-b0, gdla, 1 channel, 4 classes

Weights = dict[str, Tensor]


def official_checkpoint(path: Path, weights: Weights) -> Path:
    """Write what the authors' training writes and releases."""
    torch.save({"model_state_dict": weights, "epoch": 149, "best_dice": np.float32(0.83)}, path)
    return path


def same(ours: nn.Module, weights: Weights) -> bool:
    state = ours.state_dict()
    return state.keys() == weights.keys() and all(torch.equal(state[n], weights[n]) for n in state)


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file like the authors' Synapse checkpoint, 129 MB, with recipe weights."""
    folder = tmp_path_factory.mktemp("official")
    return official_checkpoint(folder / "synapse_best.ckpt", official_weights())


@pytest.fixture(scope="module")
def weights() -> Weights:
    """Return the weights of the network of ``CARD`` under our names."""
    return dict(seeded(build_network(CARD)).state_dict())


@pytest.fixture
def checkpoint(tmp_path: Path, weights: Weights) -> Callable[..., Path]:
    """Return a function that writes weights, changed or not, and ``CARD`` beside them."""

    def write(changed: Weights = weights, card: ModelCard = CARD) -> Path:
        (tmp_path / "model.card.json").write_text(card.to_json(), encoding="utf-8")
        return official_checkpoint(tmp_path / "model.ckpt", changed)

    return write


def loaded_refusal(path: Path, card: str | None = None) -> str:
    return refusal(path, partial(load_model, card_name=card))


@torch.inference_mode()
def test_an_authors_checkpoint_gives_their_logits(official: Path) -> None:
    network, card = load_model(official, "synapse")
    vectors = golden.vectors("c_pvtgdla_1ch_9cls_64")
    logits = network(torch.from_numpy(vectors["input"])).numpy()
    np.testing.assert_allclose(logits, vectors["logits"], rtol=0, atol=5e-5)
    assert card == find("synapse").card


def test_a_loaded_network_is_ready_for_inference_without_its_training_heads(
    checkpoint: Callable[..., Path],
) -> None:
    network, _ = load_model(checkpoint())
    assert not network.training
    assert len(network.auxiliary_heads) == 0


def test_the_card_beside_a_checkpoint_is_found(
    checkpoint: Callable[..., Path], weights: Weights
) -> None:
    network, card = load_model(str(checkpoint()))
    assert card == CARD
    assert same(network, {n: v for n, v in weights.items() if not n.startswith("auxiliary")})


def test_weights_saved_on_several_gpus_load(
    checkpoint: Callable[..., Path], weights: Weights
) -> None:
    path = checkpoint({f"module.{name}": value for name, value in weights.items()})
    assert torch.equal(load_model(path)[0].head.weight, weights["head.weight"])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_weights_of_any_precision_become_single(
    checkpoint: Callable[..., Path], weights: Weights, dtype: torch.dtype
) -> None:
    path = checkpoint({n: v.to(dtype) if v.is_floating_point() else v for n, v in weights.items()})
    network, _ = load_model(path)
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    torch.testing.assert_close(network.head.weight, weights["head.weight"], rtol=0.01, atol=0)


def test_a_checkpoint_without_a_card_lists_the_cards_that_fit(official: Path) -> None:
    with pytest.raises(ModelFileError) as caught:
        load_model(official)
    assert caught.value.message == f"{official} does not say which model it is."
    assert caught.value.hint == "Name its card (synapse) or put synapse_best.card.json beside it."


def test_a_checkpoint_without_a_card_that_fits_asks_for_its_own(
    tmp_path: Path, weights: Weights
) -> None:
    changed = {**weights, "head.weight": torch.ones(99, 32, 1, 1)}
    path = official_checkpoint(tmp_path / "model.ckpt", changed)
    with pytest.raises(ModelFileError) as caught:
        load_model(path)
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
    assert message in refusal(beside, lambda _: load_model(path))


def test_the_card_of_another_task_is_refused(official: Path) -> None:
    message = loaded_refusal(official, "acdc")
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
    made = build_network(replace(CARD, architecture=Architecture("b0", made_for)))
    path = checkpoint(
        dict(made.state_dict()), replace(CARD, architecture=Architecture("b0", card_says))
    )
    assert message in loaded_refusal(path)


def test_the_card_of_another_encoder_is_refused(checkpoint: Callable[..., Path]) -> None:
    path = checkpoint(card=replace(CARD, architecture=Architecture("b1", "gdla")))
    assert (
        "holds a PVTv2 of another size: 2, 2, 2, 2 blocks of first width 32 "
        "instead of 2, 2, 2, 2 blocks of first width 64" in loaded_refusal(path)
    )


def without(*names: str) -> Callable[[Weights], Weights]:
    return lambda w: {n: v for n, v in w.items() if not n.startswith(names)}


def with_value(name: str, value: Callable[[Tensor], Tensor]) -> Callable[[Weights], Weights]:
    return lambda w: {**w, name: value(w[name].clone())}


RESNET = {"conv1.weight": torch.ones(4, 3, 7, 7), "layer1.0.conv1.weight": torch.ones(4, 4, 3, 3)}
CONVNEXT = {"stem.0.weight": torch.ones(4), "head.fc.weight": torch.ones(4, 4)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("decoder.1.up"), "it lacks 1 of its "),
        (without("stem.", "decoder.0."), "weights (decoder.0.block."),
        (lambda w: {**w, "extra.weight": torch.ones(1)}, "it holds 1 weights that it"),
        (with_value("stem.conv2.weight", lambda v: v[:3]), "stem.conv2.weight has the shape (3, "),
        (with_value("head.bias", lambda v: v * float("nan")), "not finite numbers, first in head"),
        (with_value("head.bias", lambda v: v / 0), "not finite numbers, first in head.bias"),
        (with_value("stem.norm1.running_var", lambda v: v / 0), "not finite numbers"),
        (with_value("head.bias", lambda v: v.double() * 1e300), "not finite numbers"),
        (with_value("head.bias", lambda v: v.int()), "head.bias holds int32 instead of floating"),
        (with_value("head.bias", lambda v: v + 1j), "head.bias holds complex64 instead of float"),
        (without("decoder.", "stem.", "head.", "auxiliary"), "only a PVTv2 encoder"),
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


def test_a_name_that_is_no_file_is_looked_up_in_the_catalogue() -> None:
    with pytest.raises(ModelFileError, match="No model is called 'sinapse'. Did you mean synapse"):
        load_model("sinapse")
    with pytest.raises(ModelFileError, match="The checkpoint of synapse is not on this computer"):
        load_model("synapse")


def test_a_folder_of_a_models_name_does_not_hide_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "synapse").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelFileError, match="not on this computer"):
        load_model("synapse")


def test_an_unknown_card_name_is_refused(checkpoint: Callable[..., Path]) -> None:
    with pytest.raises(ModelFileError, match="No model is called 'lungs'"):
        load_model(checkpoint(), "lungs")


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_missing_and_empty_files_and_folders_are_refused_before_anything_else(
    tmp_path: Path, suffix: str
) -> None:
    assert "does not exist" in loaded_refusal(tmp_path / f"missing{suffix}")
    (tmp_path / f"empty{suffix}").touch()
    assert "is empty" in loaded_refusal(tmp_path / f"empty{suffix}")
    (tmp_path / f"folder{suffix}").mkdir()
    assert "is a folder" in loaded_refusal(tmp_path / f"folder{suffix}")
