"""Which card a model is used with: its own, one beside it, or one asked for, by name or file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from command_line import run_gdla
from model_files import CARD, recipe, write_checkpoint, write_safetensors
from refusals import refusal

from GDLACore.engine import load_engine
from GDLACore.errors import ModelFileError
from GDLACore.export.model_file import write_onnx_model
from GDLACore.model.bundle import read_card
from GDLACore.model.card import Architecture, IntensityProfile, ModelCard
from GDLACore.model.catalogue import find
from GDLACore.weights.card_choice import own_card
from GDLACore.weights.loading import load_weights

HASHED = replace(CARD, sha256="0" * 64)

# As `gdla calibrate` writes it.
CALIBRATED = replace(
    CARD,
    view="rotate_90",
    intensity=IntensityProfile("minmax_image"),
    labels=tuple(
        replace(label, value=value) for value, label in enumerate(reversed(CARD.labels), start=1)
    ),
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return one model in the two kinds of file that have a card inside."""
    folder, weights = tmp_path_factory.mktemp("models"), recipe()
    checkpoint = write_checkpoint(folder / "model.ckpt", weights)
    return {
        "safetensors": write_safetensors(folder / "model.safetensors", weights),
        "onnx": write_onnx_model(folder / "model.onnx", load_weights(checkpoint)),
    }


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Return a checkpoint with a calibrated card beside it."""
    return write_checkpoint(tmp_path / "model.ckpt", recipe(), CALIBRATED)


@pytest.fixture
def in_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the catalogue know the model of ``CARD``, and no other."""
    entries = {CARD.name: replace(find("synapse"), card=CARD)}
    monkeypatch.setattr("GDLACore.weights.card_choice.find", entries.__getitem__)


def write_card(path: Path, card: ModelCard) -> Path:
    path.write_text(card.to_json(), encoding="utf-8")
    return path


each_kind = pytest.mark.parametrize("kind", ["safetensors", "onnx"])


@each_kind
@pytest.mark.parametrize("as_given", [str, Path])
def test_a_card_file_takes_the_place_of_the_card_in_the_model(
    files: dict[str, Path], tmp_path: Path, kind: str, as_given: Callable
) -> None:
    card = as_given(write_card(tmp_path / "calibrated.JSON", CALIBRATED))
    assert own_card(files[kind], card) == CALIBRATED
    assert own_card(files[kind], None) == CARD


@each_kind
def test_a_card_file_is_used_by_the_whole_program(
    files: dict[str, Path], tmp_path: Path, ct: Path, kind: str
) -> None:
    card = write_card(tmp_path / "mycard.json", CALIBRATED)
    with load_engine(files[kind], device="cpu", card=str(card)) as engine:
        assert engine.card == CALIBRATED
    options = ("--device", "cpu", "--quiet", "--slices", "0:1")
    arguments = ("segment", ct, "--model", files[kind], *options)
    labels = []
    for number, more in enumerate([(), ("--card", card)]):
        out = tmp_path / f"{number}.nrrd"
        assert run_gdla(*arguments, "-o", out, *more) == 0
        labels.append(out.read_bytes())
    assert labels[0] != labels[1]


def test_a_card_file_goes_into_the_export(files: dict[str, Path], tmp_path: Path) -> None:
    card, out = write_card(tmp_path / "mycard.json", CALIBRATED), tmp_path / "new.onnx"
    export = ("export", files["safetensors"], "-o", out, "--quiet", "--card", card)
    assert run_gdla(*export) == 0
    assert replace(read_card(out), sha256=None) == CALIBRATED


@each_kind
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"in_channels": 3}, "its number of channels is 3 instead of 1"),
        ({"input_size": 96}, f"its input size is 96 instead of {CARD.input_size}"),
        ({"labels": CARD.labels[:2]}, "its number of classes is 3 instead of 4"),
        (
            {"architecture": Architecture("b0", "linear")},
            "its architecture is PVTv2-b0, linear instead of PVTv2-b0, gdla",
        ),
    ],
)
def test_the_card_of_another_network_is_refused(
    files: dict[str, Path], tmp_path: Path, kind: str, change: dict, message: str
) -> None:
    card = write_card(tmp_path / "mycard.json", replace(CARD, **change))
    assert message in refusal(files[kind], partial(own_card, card=card))
    assert message in refusal(card, lambda card: own_card(files[kind], card))


def test_the_hash_of_the_weights_stays_known(tmp_path: Path) -> None:
    model = write_safetensors(tmp_path / "model.safetensors", {}, HASHED)
    card = tmp_path / "mycard.json"
    assert own_card(model, write_card(card, CALIBRATED)).sha256 == HASHED.sha256
    assert own_card(model, write_card(card, HASHED)) == HASHED
    write_card(card, replace(CALIBRATED, sha256="1" * 64))
    message = refusal(model, partial(own_card, card=card))
    assert "was written for other weights than those in" in message
    model = write_safetensors(tmp_path / "model.safetensors", {}, CARD)
    assert own_card(model, card).sha256 == "1" * 64


def test_weights_that_are_not_those_of_the_card_file_are_refused(
    files: dict[str, Path], tmp_path: Path
) -> None:
    card = write_card(tmp_path / "mycard.json", HASHED)
    with pytest.raises(ModelFileError, match="its weights are not those its card was written for"):
        load_weights(files["safetensors"], card)


@each_kind
def test_another_models_name_is_still_refused(files: dict[str, Path], kind: str) -> None:
    message = refusal(files[kind], partial(own_card, card="synapse"))
    assert "is the model abdomen and cannot be used as synapse" in message


@each_kind
def test_the_models_own_name_gives_its_own_card(
    files: dict[str, Path], kind: str, in_catalogue: None
) -> None:
    assert own_card(files[kind], CARD.name) == CARD


def test_a_card_file_is_used_for_a_checkpoint_whatever_lies_beside_it(
    checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert load_weights(checkpoint).card == CALIBRATED
    assert load_weights(checkpoint, write_card(tmp_path / "mycard.json", CARD)).card == CARD
    assert not caplog.records


@pytest.mark.parametrize("beside", [CALIBRATED.to_json(), "{}"], ids=["calibrated", "damaged"])
def test_a_name_beats_another_card_beside_the_checkpoint_with_one_warning(
    checkpoint: Path, in_catalogue: None, caplog: pytest.LogCaptureFixture, beside: str
) -> None:
    checkpoint.with_suffix(".card.json").write_text(beside, encoding="utf-8")
    assert load_weights(checkpoint, CARD.name).card == CARD
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        f"{checkpoint} is used with the card of abdomen, as asked for, and not with "
        "model.card.json beside it, which says otherwise: leave out the card to use that one."
    )


def test_a_name_that_says_what_the_card_beside_the_checkpoint_says_needs_no_warning(
    checkpoint: Path, in_catalogue: None, caplog: pytest.LogCaptureFixture
) -> None:
    write_card(checkpoint.with_suffix(".card.json"), CARD)
    assert load_weights(checkpoint, CARD.name).card == CARD
    checkpoint.with_suffix(".card.json").unlink()
    assert load_weights(checkpoint, CARD.name).card == CARD
    assert not caplog.records


@pytest.mark.parametrize("model", ["model.ckpt", "model.safetensors"])
@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "does not exist"), ("{", "is not valid JSON"), ("{}", "schema is missing")],
)
def test_a_card_file_that_is_missing_or_none_is_named(
    tmp_path: Path, model: str, text: str | None, message: str
) -> None:
    write_checkpoint(tmp_path / "model.ckpt", {})
    write_safetensors(tmp_path / "model.safetensors", {})
    card = tmp_path / "mycard.json"
    if text is not None:
        card.write_text(text)
    assert message in refusal(card, lambda card: load_weights(tmp_path / model, str(card)))


def test_a_card_file_is_told_from_a_name_by_its_suffix_or_folder(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkpoint.parent)
    write_card(Path("mine"), CARD)
    assert load_weights(checkpoint, "./mine").card == CARD
    assert load_weights(checkpoint, "model.card.json").card == CALIBRATED
    with pytest.raises(ModelFileError, match="No model is called 'mine'"):
        load_weights(checkpoint, "mine")
