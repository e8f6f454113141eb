"""Model cards: what one says comes back exactly, and what is wrong in one is named."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from GDLACore.errors import ModelFileError
from GDLACore.model.card import (
    Architecture,
    Code,
    IntensityProfile,
    Label,
    ModelCard,
    Provenance,
    Terminology,
)

ANATOMY = Code("SCT", "123037004", "Anatomical Structure")
LEFT_KIDNEY = Terminology(
    ANATOMY, Code("SCT", "64033007", "Kidney"), Code("SCT", "7771000", "Left")
)
BREAST_MASS = Terminology(
    Code("SCT", "49755003", "Morphologically Altered Structure"),
    Code("SCT", "4147007", "Mass"),
    region=Code("SCT", "76752008", "Breast"),
    region_modifier=Code("SCT", "24028007", "Right"),
    context="A list of ours",
    region_context="Another",
)
CARD = ModelCard(
    name="two-things",
    version="1.0",
    title="Two things · zwei Dinge",
    modality="CT",
    architecture=Architecture("b0", "gdla"),
    in_channels=1,
    input_size=160,
    labels=(
        Label(1, "Left kidney", LEFT_KIDNEY, (46, 138, 184)),
        Label(2, "Mass", BREAST_MASS, (0, 255, 0), note="not confirmed on held-out data"),
    ),
    intensity=IntensityProfile("ct_window", -125.5, 275.0),
    slice_axis="axial",
    view="transpose",
    resampling="spline3",
    provenance=Provenance(
        "made up", "two patients", "Apache-2.0", "tests", "none", ("It does not exist.",)
    ),
    sha256="0123456789abcdef" * 4,
)


def changed(change: Callable[[dict[str, Any]], object]) -> str:
    """Return the card as JSON after ``change`` did something to it."""
    data = json.loads(CARD.to_json())
    change(data)
    return json.dumps(data)


def test_a_card_comes_back_from_json_exactly() -> None:
    text = CARD.to_json()
    assert ModelCard.from_json(text) == CARD
    assert ModelCard.from_json(text.encode()).to_json() == text


def test_a_card_with_everything_optional_left_out_comes_back_exactly() -> None:
    plain = replace(
        CARD,
        labels=(
            Label(1, "Kidney", Terminology(ANATOMY, Code("SCT", "64033007", "Kidney")), (0, 0, 0)),
        ),
        intensity=IntensityProfile("none"),
        sha256=None,
    )
    assert ModelCard.from_json(plain.to_json()) == plain


def test_a_card_and_its_parts_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        CARD.name = "other"  # type: ignore[misc]
    assert hash(CARD) == hash(ModelCard.from_json(CARD.to_json()))


def test_background_counts_as_a_class() -> None:
    assert CARD.classes == 3


def test_terminology_is_serialized_as_slicer_writes_it() -> None:
    assert LEFT_KIDNEY.serialized() == (
        "Segmentation category and type - 3D Slicer General Anatomy list"
        "~SCT^123037004^Anatomical Structure~SCT^64033007^Kidney~SCT^7771000^Left"
        "~Anatomic codes - DICOM master list~^^~^^"
    )


def test_terminology_with_a_region_fills_all_seven_parts() -> None:
    assert BREAST_MASS.serialized() == (
        "A list of ours~SCT^49755003^Morphologically Altered Structure~SCT^4147007^Mass~^^"
        "~Another~SCT^76752008^Breast~SCT^24028007^Right"
    )


def test_slicer_reads_the_serialized_terminology_back() -> None:
    slicer = pytest.importorskip("slicer")
    logic = slicer.vtkSlicerTerminologiesModuleLogic()
    for terminology in (LEFT_KIDNEY, BREAST_MASS):
        entry = slicer.vtkSlicerTerminologyEntry()
        assert logic.DeserializeTerminologyEntry(terminology.serialized(), entry)
        assert logic.SerializeTerminologyEntry(entry) == terminology.serialized()
        assert entry.GetTypeObject().GetCodeValue() == terminology.type.value


def label(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda card: card["labels"][1].update(fields)


def top(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda card: card.update(fields)


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        (lambda card: card.pop("schema"), "schema", "missing"),
        (top(schema=2), "schema", "from 1 to 1"),
        (lambda card: card.pop("labels"), "labels", "missing"),
        (top(colour="red"), "colour", "not a known field"),
        (lambda card: card["provenance"].update(url="x"), "provenance.url", "not a known field"),
        (top(name="Two Things"), "name", "lower-case"),
        (top(name="../../etc/passwd"), "name", "lower-case"),
        (top(name=""), "name", "text"),
        (top(title="two\nlines"), "title", "one line"),
        (top(title="half a character \ud800"), "title", "printable"),
        (top(version=1.0), "version", "text"),
        (top(modality="PET"), "modality", "CT, MR, US, RGB"),
        (top(modality=["CT"]), "modality", "CT, MR, US, RGB"),
        (top(modality="RGB"), "in_channels", "3 where the modality is RGB"),
        (top(in_channels=2), "in_channels", "grey"),
        (top(in_channels=True), "in_channels", "whole number"),
        (top(in_channels=1.0), "in_channels", "whole number"),
        (top(input_size=100), "input_size", "multiple of 32"),
        (top(input_size=0), "input_size", "from 32"),
        (top(input_size=10**30), "input_size", "from 32"),
        (top(architecture="b2"), "architecture", "object"),
        (top(architecture={"encoder": "b9", "mixer": "gdla"}), "architecture.encoder", "b0"),
        (top(architecture={"encoder": "b2", "mixer": "conv"}), "architecture.mixer", "softmax"),
        (top(labels={}), "labels", "list"),
        (top(labels=[]), "labels", "1, 2, 3"),
        (top(labels=[None]), "labels[0]", "object"),
        (lambda card: card["labels"].reverse(), "labels", "in this order"),
        (label(value=3), "labels", "in this order"),
        (label(value=0), "labels[1].value", "from 1"),
        (label(name="LEFT kidney"), "labels", "used twice"),
        (label(color=[0, 0]), "labels[1].color", "three"),
        (label(color=[0, 0, 256]), "labels[1].color", "255"),
        (label(color=[0, 0, -1]), "labels[1].color", "255"),
        (label(color=[0, 0, 0.5]), "labels[1].color", "whole"),
        (label(color=[0, 0, True]), "labels[1].color", "whole"),
        (label(color="#00ff00"), "labels[1].color", "three"),
        (label(terminology={}), "labels[1].terminology.category", "missing"),
        (
            lambda card: card["labels"][0]["terminology"]["type"].update(meaning="a~b"),
            "labels[0].terminology.type.meaning",
            "separate",
        ),
        (
            lambda card: card["labels"][0]["terminology"]["type"].update(value=64033007),
            "labels[0].terminology.type.value",
            "text",
        ),
        (top(intensity={"kind": "window"}), "intensity.kind", "ct_window"),
        (top(intensity={"kind": "ct_window", "lower": 0}), "intensity.lower and upper", "needed"),
        (
            top(intensity={"kind": "ct_window", "lower": 1, "upper": 1}),
            "intensity.upper",
            "above lower",
        ),
        (
            top(intensity={"kind": "ct_window", "lower": True, "upper": 1}),
            "intensity.lower",
            "number",
        ),
        (
            top(intensity={"kind": "ct_window", "lower": 0, "upper": 10**400}),
            "intensity.upper",
            "finite",
        ),
        (
            top(intensity={"kind": "minmax_image", "lower": 0, "upper": 1}),
            "intensity.lower and upper",
            "belong to ct_window",
        ),
        (top(slice_axis="sagittal"), "slice_axis", "acquisition"),
        (top(view="upside_down"), "view", "flip_rows"),
        (top(resampling="nearest"), "resampling", "spline3"),
        (top(provenance=None), "provenance", "object"),
        (lambda card: card["provenance"].update(caveats="one"), "provenance.caveats", "list"),
        (lambda card: card["provenance"].update(caveats=["", "b"]), "caveats[0]", "text"),
        (top(sha256="abc"), "sha256", "64"),
        (top(sha256="A" * 64), "sha256", "lower-case"),
    ],
)
def test_a_wrong_field_is_named_with_the_reason(
    change: Callable[[dict[str, Any]], object], field: str, reason: str
) -> None:
    with pytest.raises(ModelFileError) as caught:
        ModelCard.from_json(changed(change), "kidney.json")
    assert caught.value.message.startswith("kidney.json: ")
    assert field in caught.value.message
    assert reason in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "3",
        b"\xff\xfe\x00",
        "[" * 100_000,
        '{"schema": ' + "9" * 5_000 + "}",
    ],
)
def test_text_that_is_not_a_card_is_refused(text: str | bytes) -> None:
    with pytest.raises(ModelFileError, match=r"kidney\.json"):
        ModelCard.from_json(text, "kidney.json")


def test_a_field_given_twice_is_refused() -> None:
    text = CARD.to_json().replace('"schema": 1,', '"schema": 1, "view": "identity",')
    with pytest.raises(ModelFileError, match='"view" is given twice'):
        ModelCard.from_json(text)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_window_that_is_not_finite_is_refused(number: str) -> None:
    with pytest.raises(ModelFileError, match="number"):
        ModelCard.from_json(CARD.to_json().replace("-125.5", number))


@pytest.mark.parametrize(
    ("kind", "lower", "upper"),
    [("ct_window", math.nan, 1.0), ("ct_window", -math.inf, 1.0), ("sharpen", None, None)],
)
def test_a_profile_made_in_code_obeys_the_same_rules(
    kind: str, lower: float | None, upper: float | None
) -> None:
    with pytest.raises(ModelFileError):
        IntensityProfile(kind, lower, upper)


def test_a_card_made_in_code_obeys_the_same_rules() -> None:
    with pytest.raises(ModelFileError, match="multiple of 32"):
        replace(CARD, input_size=100)
