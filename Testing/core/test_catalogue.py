"""The catalogue: what ships is valid by our reader and by the schema, what is broken is named."""

from __future__ import annotations

import copy
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from GDLACore.errors import ModelFileError
from GDLACore.model.bundle import CARD_KEY, read_card
from GDLACore.model.card import ModelCard
from GDLACore.model.catalogue import CatalogueEntry, catalogue, find, read_catalogue
from GDLACore.resources import resource_path

PUBLISHED = ("synapse", "acdc", "busi", "ham10000", "ph2")


SHIPPED = {"resource": "models/demo.safetensors", "sha256": "0" * 64, "url": None}


@cache
def schema() -> Any:
    """Return the validator of our schema, made by a package that is not ours."""
    jsonschema = pytest.importorskip("jsonschema")
    text = resource_path("models.schema.json").read_text("utf-8")
    return jsonschema.Draft202012Validator(json.loads(text))


def raw_catalogue() -> dict[str, Any]:
    return json.loads(resource_path("models.json").read_text("utf-8"))


def safetensors(header: bytes, length: int | None = None) -> bytes:
    """Return a file of that header and no weights; ``length`` is what it claims of the header."""
    return (len(header) if length is None else length).to_bytes(8, "little") + header


def with_card(card: str) -> bytes:
    return safetensors(json.dumps({"__metadata__": {CARD_KEY: card}}).encode())


def written(tmp_path: Path, data: Any) -> Path:
    path = tmp_path / "models.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


@pytest.mark.parametrize("entry", catalogue(), ids=lambda entry: entry.name)
def test_every_card_of_the_catalogue_is_itself_after_writing_and_reading(
    entry: CatalogueEntry,
) -> None:
    assert ModelCard.from_json(entry.card.to_json()) == entry.card


@pytest.mark.parametrize(
    "listed",
    [
        *({"schema": 1, "models": [{"card": entry.card.to_dict()}]} for entry in catalogue()),
        {"schema": 1, "models": [SHIPPED]},
        raw_catalogue(),
    ],
    ids=[*(entry.name for entry in catalogue()), "shipped", "all"],
)
def test_what_our_reader_accepts_obeys_the_schema(listed: dict[str, Any]) -> None:
    assert list(schema().iter_errors(listed)) == []


def test_the_five_published_checkpoints_are_listed() -> None:
    assert [entry.name for entry in catalogue()][: len(PUBLISHED)] == list(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_nothing_unknown_is_invented_about_a_published_file(name: str) -> None:
    entry = find(name)
    assert (entry.file, entry.sha256, entry.url, entry.resource) == (None,) * 4
    assert entry.card.sha256 is None
    assert entry.card.provenance.caveats
    assert "not for clinical use" in entry.card.provenance.intended_use


def test_the_synapse_labels_are_in_the_order_of_the_transunet_files() -> None:
    assert [label.name for label in find("synapse").card.labels] == [
        "Aorta",
        "Gallbladder",
        "Left kidney",
        "Right kidney",
        "Liver",
        "Pancreas",
        "Spleen",
        "Stomach",
    ]


def test_the_kidneys_differ_in_side_and_colour() -> None:
    left, right = find("synapse").card.labels[2:4]
    assert left.terminology.type == right.terminology.type
    assert left.terminology.type_modifier != right.terminology.type_modifier
    assert left.color != right.color


@pytest.mark.parametrize(("name", "classes"), [*zip(PUBLISHED, (9, 4, 2, 2, 2), strict=True)])
def test_the_published_networks_have_their_number_of_classes(name: str, classes: int) -> None:
    assert find(name).card.classes == classes


def test_a_list_of_codes_that_is_not_slicers_ships_with_the_code() -> None:
    ours = json.loads(resource_path("terminologies", "GDLASegmenter.term.json").read_text("utf-8"))
    listed = {
        (category["CodeValue"], kind["CodeValue"])
        for category in ours["SegmentationCodes"]["Category"]
        for kind in category["Type"]
    }
    used = {
        (label.terminology.category.value, label.terminology.type.value)
        for entry in catalogue()
        for label in entry.card.labels
        if label.terminology.context == ours["SegmentationCategoryTypeContextName"]
    }
    assert used
    assert used <= listed


def test_an_unknown_model_is_refused_with_the_known_names() -> None:
    with pytest.raises(ModelFileError) as caught:
        find("synapze")
    assert "synapze" in caught.value.message
    assert all(name in caught.value.hint for name in PUBLISHED)
    assert "Did you mean synapse?" in caught.value.hint


def test_shipped_models_have_the_hash_the_catalogue_states() -> None:
    for entry in catalogue():
        if entry.resource is not None:
            assert entry.sha256 == hashlib.sha256(entry.resource.read_bytes()).hexdigest()


def test_a_shipped_model_brings_its_own_card(tmp_path: Path) -> None:
    card = find("synapse").card
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "demo.safetensors").write_bytes(with_card(card.to_json()))
    (entry,) = read_catalogue(written(tmp_path, {"schema": 1, "models": [SHIPPED]}))
    assert entry == CatalogueEntry(
        card,
        file="demo.safetensors",
        sha256="0" * 64,
        resource=tmp_path / "models" / "demo.safetensors",
    )


@pytest.mark.parametrize(
    "resource", ["../demo.safetensors", "/etc/passwd", "C:/demo", "models\\demo", "a/../../b"]
)
def test_a_shipped_model_is_looked_for_in_resources_only(tmp_path: Path, resource: str) -> None:
    path = written(tmp_path, {"schema": 1, "models": [{"resource": resource}]})
    with pytest.raises(ModelFileError, match=r"models\[0\]\.resource must be a path inside"):
        read_catalogue(path)


def test_a_shipped_model_that_is_missing_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, {"schema": 1, "models": [{"resource": "models/demo.safetensors"}]})
    with pytest.raises(ModelFileError, match=r"demo\.safetensors does not exist"):
        read_catalogue(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.update(schema=9), "schema must be"),
        (lambda data: data.update(extra=1), "extra is not a known field"),
        (lambda data: data.update(models={}), "models must be a list"),
        (lambda data: data["models"].append(1), "models[5] must be an object"),
        (lambda data: data["models"].append({}), "models[5].card is missing"),
        (lambda data: data["models"].append(data["models"][0]), "'synapse' is used twice"),
        (lambda data: data["models"][2].update(url="ftp://x"), "models[2].url must be an https"),
        (lambda data: data["models"][2].update(sha256="x"), "models[2].sha256 must be"),
        (lambda data: data["models"][2].update(file="a/b"), "models[2].file must be a file name"),
        (
            lambda data: data["models"][1]["card"]["labels"][0].pop("color"),
            "models[1].card.labels[0].color is missing",
        ),
        (
            lambda data: data["models"][1]["card"].update(input_size=225),
            "models[1].card.input_size must be a multiple of 32",
        ),
    ],
)
def test_a_wrong_entry_is_named_with_its_place(tmp_path: Path, change: Any, message: str) -> None:
    data = copy.deepcopy(raw_catalogue())
    data["models"] = data["models"][: len(PUBLISHED)]  # shipped files are not beside the copy
    change(data)
    with pytest.raises(ModelFileError) as caught:
        read_catalogue(written(tmp_path, data))
    assert message in caught.value.message
    assert "models.json" in caught.value.message


def test_a_missing_catalogue_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"models\.json cannot be read"):
        read_catalogue(tmp_path / "models.json")


def test_the_card_is_read_from_the_header_alone(tmp_path: Path) -> None:
    card = find("acdc").card
    header = {
        "__metadata__": {CARD_KEY: card.to_json(), "format": "pt"},
        "weight": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]},
    }
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors(json.dumps(header).encode() + b"  ") + b"\0" * 4)
    assert read_card(path) == card


def test_a_card_written_by_safetensors_is_read(tmp_path: Path) -> None:
    numpy_format = pytest.importorskip("safetensors.numpy")
    card = find("acdc").card
    path = tmp_path / "model.safetensors"
    numpy_format.save_file({"w": np.zeros(3, np.float16)}, path, {CARD_KEY: card.to_json()})
    assert read_card(path) == card


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\x10\0\0", "cut off after 3 bytes"),
        (safetensors(b"{}", length=3), "cut off inside its header"),
        (safetensors(b"", length=0), "not a safetensors file"),
        (safetensors(b"{}", length=2**63), "not a safetensors file"),
        (b"PK\x03\x04" + b"\0\xff" * 100, "not a safetensors file"),
        (safetensors(b"{]"), "not valid JSON"),
        (safetensors(b"\xff\xff"), "not valid JSON"),
        (safetensors(b"[]"), "not a JSON object"),
        (safetensors(b"{}"), "no model card"),
        (safetensors(b'{"__metadata__": 3}'), "no model card"),
        (safetensors(b'{"__metadata__": {"gdla_card": {}}}'), "no model card"),
        (with_card("{}"), "schema is missing"),
        (with_card("{"), "not valid JSON"),
    ],
)
def test_a_file_without_a_readable_card_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFileError) as caught:
        read_card(path)
    assert message in caught.value.message
    assert str(path) in caught.value.message


def test_a_folder_is_not_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="is a folder, not a model"):
        read_card(tmp_path)
