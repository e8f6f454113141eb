"""Our own model files: weights and card in one ``.safetensors``, written whole, read with care."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from phantom import make_card
from refusals import refusal

pytest.importorskip("torch")

import torch
from networks import seeded
from safetensors.torch import load_file, save_file
from torch import Tensor

from GDLACore.errors import ModelFileError, OutputError
from GDLACore.model.bundle import CARD_KEY, read_card
from GDLACore.model.card import Architecture
from GDLACore.network.block import MIXERS
from GDLACore.network.checkpoint import build_network, load_model, save_model
from GDLACore.network.pvt_gdla import PVTGDLA

CARD = make_card()  # PVTv2-b0, gdla, 1 channel, 4 classes


@pytest.fixture(scope="module")
def network() -> PVTGDLA:
    return seeded(build_network(CARD))


@pytest.fixture
def saved(tmp_path: Path, network: PVTGDLA) -> Path:
    return save_model(tmp_path / "model.safetensors", network, CARD)


@torch.inference_mode()
def test_a_saved_network_gives_nearly_the_same_logits(saved: Path, network: PVTGDLA) -> None:
    loaded, card = load_model(saved)
    x = torch.randn(2, 1, 64, 96, generator=torch.Generator().manual_seed(0))
    expected = network(x)
    assert expected.std() > 0.1
    torch.testing.assert_close(loaded(x), expected, rtol=0, atol=2e-2)
    assert replace(card, sha256=None) == CARD


@pytest.mark.parametrize("mixer", MIXERS)
def test_every_mixer_survives_a_round_trip(tmp_path: Path, mixer: str) -> None:
    card = replace(CARD, architecture=Architecture("b0", mixer))
    network = seeded(build_network(card))
    loaded, _ = load_model(save_model(tmp_path / "model.safetensors", network, card))
    state = loaded.state_dict()
    for name, value in network.state_dict().items():
        if value.is_floating_point() and not name.startswith("auxiliary_heads."):
            assert torch.equal(state[name], value.half().float())


def test_a_saved_file_holds_half_precision_and_no_training_heads(saved: Path) -> None:
    weights = load_file(saved)
    assert {value.dtype for value in weights.values()} == {torch.float16}
    assert not [n for n in weights if n.startswith("auxiliary") or "num_batches" in n]


def test_the_card_in_a_saved_file_carries_the_hash_of_its_weights(saved: Path) -> None:
    weights = load_file(saved)
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode() + weights[name].numpy().tobytes())
    assert read_card(saved).sha256 == digest.hexdigest()


def test_saving_a_loaded_model_again_changes_nothing(saved: Path, tmp_path: Path) -> None:
    again = save_model(tmp_path / "again.safetensors", *load_model(saved))
    assert read_card(again) == read_card(saved)
    weights, before = load_file(again), load_file(saved)
    assert weights.keys() == before.keys()
    assert all(torch.equal(weights[name], before[name]) for name in before)


def test_a_network_on_its_way_to_nonsense_is_not_saved(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for value in (float("nan"), 70_000.0):  # the second is too large for half precision
        broken = seeded(build_network(CARD))
        with torch.no_grad():
            broken.head.bias[1] = value
        with pytest.raises(ModelFileError, match="not finite numbers, first in head.bias"):
            save_model(path, broken, CARD)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_an_error_and_leaves_nothing(
    tmp_path: Path, network: PVTGDLA
) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        save_model(tmp_path / "missing" / "model.safetensors", network, CARD)
    assert list(tmp_path.iterdir()) == []


def test_a_model_file_is_used_under_its_own_name_only(saved: Path) -> None:
    def load_as_synapse(path: Path) -> object:
        return load_model(path, "synapse")

    message = refusal(saved, load_as_synapse)
    assert "is the model abdomen and cannot be used as synapse" in message


def test_a_capital_suffix_is_the_same_suffix(saved: Path) -> None:
    capital = saved.rename(saved.with_suffix(".SAFETENSORS"))
    assert load_model(capital)[1].name == "abdomen"


def rewritten(path: Path, change: Callable[[dict[str, Tensor], dict[str, str]], object]) -> Path:
    """Write the file again after ``change`` did something to its weights or metadata."""
    weights = load_file(path)
    # Without the hash: these files are wrong in another way.
    metadata = {CARD_KEY: replace(read_card(path), sha256=None).to_json()}
    change(weights, metadata)
    save_file(weights, path, metadata)
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w, m: m.clear(), "holds weights but no model card"),
        (lambda w, m: m.update({CARD_KEY: "{}"}), "schema"),
        (lambda w, m: m.update({CARD_KEY: "no JSON"}), "is not valid JSON"),
        (lambda w, m: w.pop("head.bias"), "it lacks 1 of its"),
        (lambda w, m: w.update({"more": torch.ones(2)}), "('more', …)"),
        (lambda w, m: w.update({"head.bias": torch.ones(5)}), "(5,) instead of (4,)"),
        (lambda w, m: w.update({"head.bias": torch.ones(4).int()}), "int32 instead of floating"),
        (lambda w, m: w["head.bias"].fill_(float("inf")), "not finite numbers"),
        (lambda w, m: [w.pop(n) for n in list(w) if not n.startswith("enc")], "only a PVTv2 enc"),
        (lambda w, m: [w.pop(n) for n in list(w)[1:]], "holds another network"),
    ],
)
def test_a_model_file_with_wrong_contents_says_what_is_wrong(
    saved: Path, change: Callable, message: str
) -> None:
    assert message in refusal(rewritten(saved, change), load_model)


def test_a_changed_bit_in_a_weight_is_noticed(saved: Path) -> None:
    data = bytearray(saved.read_bytes())
    data[-1000] ^= 1
    saved.write_bytes(data)
    assert "is damaged: its weights are not those" in refusal(saved, load_model)


def test_a_model_file_cut_off_anywhere_is_refused(saved: Path) -> None:
    data = saved.read_bytes()
    header = 8 + struct.unpack("<Q", data[:8])[0]
    for length in (1, 7, 8, 9, header // 2, header - 1, header, header + 1, len(data) - 1):
        saved.write_bytes(data[:length])
        message = refusal(saved, load_model)
        assert "cut off" in message or "is damaged" in message


def test_a_model_file_with_more_at_its_end_is_refused(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes() + b"more")
    assert "is damaged" in refusal(saved, load_model)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F16", "shape": [4], "data_offsets": [0, 10**15]},
        {"dtype": "F16", "shape": [4], "data_offsets": [8, 0]},
        {"dtype": "F16", "shape": [2**63, 2**63], "data_offsets": [0, 8]},
        {"dtype": "F16", "shape": "four", "data_offsets": [0, 8]},
        {},
        7,
    ],
)
def test_a_model_file_whose_header_lies_is_refused(tmp_path: Path, entry: object) -> None:
    header = {"__metadata__": {CARD_KEY: CARD.to_json()}, "head.bias": entry}
    text = json.dumps(header).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
    assert "is damaged" in refusal(path, load_model)


@pytest.mark.parametrize("content", [b"PK\x03\x04" + bytes(50), b"<html>" * 20, bytes(64)])
def test_another_kind_of_file_with_our_suffix_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    assert "is not a safetensors file" in refusal(path, load_model)
