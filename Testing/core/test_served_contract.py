"""What a served model takes and gives: pictures of 16 bits, and what a server tells of it."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
from typing import Any

import numpy as np
import pytest
from phantom import make_card

from GDLACore.errors import ModelFileError
from GDLACore.model.card import ModelCard
from GDLACore.serving import contract

CARD = make_card()


def metadata(card: ModelCard) -> dict[str, Any]:
    """Return what a server that serves ``card`` as agreed gives for ``v2/models/NAME``."""
    return {
        "name": card.name,
        "versions": ["1"],
        "platform": "onnxruntime_onnx",
        **{
            kind: [
                {"name": one.name, "datatype": one.datatype, "shape": list(one.shape)}
                for one in tensors
            ]
            for kind, tensors in (
                ("inputs", contract.inputs(card)),
                ("outputs", contract.outputs(card)),
            )
        },
    }


def config(card: ModelCard, **changed: str) -> dict[str, Any]:
    parameters = {**contract.parameters(card), **changed}
    return {
        "name": card.name,
        "parameters": {key: {"string_value": value} for key, value in parameters.items()},
    }


@pytest.mark.parametrize("lowest", [-3e37, -1024.0, -0.2, 0.0, 1e6])
@pytest.mark.parametrize("extent", [3e-5, 1.2, 4095.0, 6e37])
def test_a_picture_comes_back_to_within_half_a_step(lowest, extent):
    random = np.random.default_rng(3).random((2, 1, 30, 40))
    images = (lowest + extent * random).astype(np.float32)
    image, scaling = contract.quantised(images)
    assert (image.dtype, scaling.dtype, scaling.shape) == (np.int16, np.float32, (2, 2))
    back = contract.dequantised(image, scaling)
    assert back.dtype == np.float32
    for one, other in zip(images.astype(np.float64), back, strict=True):
        extent = one.max() - one.min()
        rounding = 2 * np.spacing(np.float32(np.abs(one).max()))
        assert np.abs(one - other).max() <= 1.01 * extent / 131_070 + rounding


def test_all_of_int16_is_used_slice_by_slice():
    ramp = np.linspace(0, 1, 65_536, dtype=np.float32).reshape(1, 1, 256, 256)
    image, scaling = contract.quantised(np.concatenate([ramp, 1000 * ramp - 300]))
    for one in image:
        assert np.array_equal(one.reshape(-1), np.arange(-32_768, 32_768))
    assert scaling[1, 0] == pytest.approx(1000 * scaling[0, 0])


def test_a_slice_of_one_value_comes_back_exactly():
    images = np.stack([np.full((1, 2, 2), value, np.float32) for value in (0, -0.3, 1e30, 5e-39)])
    assert np.array_equal(contract.dequantised(*contract.quantised(images)), images)


def test_no_slices_are_no_error():
    image, scaling = contract.quantised(np.zeros((0, 3, 4, 4), np.float32))
    assert (image.shape, scaling.shape) == ((0, 3, 4, 4), (0, 2))
    assert contract.dequantised(image, scaling).shape == (0, 3, 4, 4)


def test_labels_have_a_byte_as_long_as_it_can_hold_them():
    for structures, datatype in ((255, "UINT8"), (256, "UINT16")):
        card = make_card(tuple(f"structure {number}" for number in range(structures)))
        assert contract.outputs(card)[0].datatype == datatype


def test_only_photographs_smaller_than_the_network_need_logits():
    photograph = dataclasses.replace(CARD, resampling="antialias")
    side = CARD.input_size
    assert contract.needs_logits(photograph, (side - 1, 500))
    assert not contract.needs_logits(photograph, (side, 500))
    assert not contract.needs_logits(CARD, (side - 1, 20))


def test_labels_of_large_pictures_are_made_from_logits():
    for card in (CARD, dataclasses.replace(CARD, resampling="antialias")):
        assert not contract.needs_logits(card, (1024, 1024))
        assert not contract.needs_logits(card, (64, 16_384))
        assert contract.needs_logits(card, (1024, 1025))
    # Of a network with so large a square there are as many logits.
    large = dataclasses.replace(CARD, input_size=2048)
    assert not contract.needs_logits(large, (2048, 2048))
    assert contract.needs_logits(large, (2048, 2049))


def test_a_mark_is_that_of_weights_and_of_all_that_a_server_does_with_them():
    known = dataclasses.replace(CARD, sha256="5c" * 32)
    line = f"1 {'5c' * 32} b0 gdla 1 64 4 spline3"
    assert contract.weights_mark(known).tobytes() == hashlib.sha256(line.encode()).digest()
    others = [
        dataclasses.replace(known, **change)
        for change in (
            {"sha256": None},
            {"sha256": "5d" * 32},
            {"architecture": dataclasses.replace(CARD.architecture, encoder="b1")},
            {"architecture": dataclasses.replace(CARD.architecture, mixer="softmax")},
            {"in_channels": 3},
            {"input_size": 96},
            {"labels": CARD.labels[:2]},
            {"resampling": "antialias"},
        )
    ]
    marks = {contract.weights_mark(card).tobytes() for card in (known, *others)}
    assert len(marks) == len(others) + 1


def test_how_images_are_fed_is_the_client_s_business_and_in_no_mark():
    mark = contract.weights_mark(CARD).tobytes()
    for change in ({"title": "Bauch"}, {"view": "transpose"}, {"slice_axis": "auto"}):
        assert contract.weights_mark(dataclasses.replace(CARD, **change)).tobytes() == mark


def test_the_card_survives_the_way_through_a_configuration():
    odd = dataclasses.replace(CARD, title='Bauch "neu" \\ 腹', sha256="0" * 64)
    told = json.loads(json.dumps(config(odd)))
    assert contract.told_card(told) == odd


def test_parameters_may_be_plain_texts():
    assert contract.told_card({"name": "m", "parameters": contract.parameters(CARD)}) == CARD


@pytest.mark.parametrize("bare", [{}, {"parameters": {}}, {"parameters": None}, {"parameters": []}])
def test_a_server_that_tells_no_card_is_no_error(bare):
    assert contract.told_card({"name": "m", **bare}) is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({contract.CONTRACT_KEY: "2"}, "version '2' of what such models take and give"),
        ({contract.CARD_KEY: "{"}, "The card of the served model 'abdomen'"),
        ({contract.CARD_KEY: '{"schema": 1}'}, "The card of the served model 'abdomen'"),
    ],
)
def test_another_contract_or_a_damaged_card_is_told(changed, said):
    with pytest.raises(ModelFileError, match=said):
        contract.told_card(config(CARD, **changed))


def test_a_card_that_is_no_text_is_told():
    broken = {"name": "m", "parameters": {contract.CARD_KEY: {"string_value": 5}}}
    with pytest.raises(ModelFileError, match="is no text"):
        contract.told_card(broken)


def test_what_serves_the_card_as_agreed_is_no_disagreement():
    assert contract.disagreement(metadata(CARD), CARD) == ""
    texts = metadata(CARD)
    for tensor in texts["inputs"] + texts["outputs"]:
        tensor["shape"] = [str(side) for side in tensor["shape"]]
    assert contract.disagreement(texts, CARD) == ""


def test_a_server_may_leave_lengths_open_and_give_more_than_is_asked_for():
    given = metadata(CARD)
    given["inputs"][0]["shape"] = [-1, 1, -1, -1]
    given["outputs"].append({"name": "uncertainty", "datatype": "FP32", "shape": [-1, 1]})
    assert contract.disagreement(given, CARD) == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m["inputs"].pop(0), "It has no input image (INT16 [any, 1, 64, 64])."),
        (lambda m: m["outputs"].pop(3), "It has no output finite (UINT8 [any, 1])."),
        (
            lambda m: m["inputs"][0].update(datatype="FP32"),
            "Its input image is FP32 [any, 1, 64, 64], not INT16 [any, 1, 64, 64].",
        ),
        (
            lambda m: m["inputs"][0].update(shape=[-1, 3, 64, 64]),
            "Its input image is INT16 [any, 3, 64, 64], not INT16 [any, 1, 64, 64].",
        ),
        (
            lambda m: m["outputs"][2].update(shape=[-1, 9, 64, 64]),
            "Its output logits is FP32 [any, 9, 64, 64], not FP32 [any, 4, 64, 64].",
        ),
        (
            lambda m: m["outputs"][0].update(shape=[-1, 64, 64]),
            "Its output labels is UINT8 [any, 64, 64], not UINT8 [any, any, any].",
        ),
        (
            lambda m: m["inputs"].append({"name": "mask", "datatype": "BOOL", "shape": [-1]}),
            "It has an input too many: 'mask'.",
        ),
        (lambda m: m.update(inputs="none"), "It has no input image (INT16 [any, 1, 64, 64])."),
        (
            lambda m: m["inputs"].__setitem__(0, ["image"]),
            "It has no input image (INT16 [any, 1, 64, 64]).",
        ),
        (
            lambda m: m["inputs"][0].update(shape=["a", None, float("inf"), 64]),
            "Its input image is INT16 [0, 0, 0, 64], not INT16 [any, 1, 64, 64].",
        ),
    ],
)
def test_what_is_otherwise_than_agreed_is_one_sentence(change, said):
    given = copy.deepcopy(metadata(CARD))
    change(given)
    assert contract.disagreement(given, CARD) == said
