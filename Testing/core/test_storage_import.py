"""A user's model file is looked at, and taken into the model folder."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from model_files import (
    CARD,
    official_checkpoint,
    recipe,
    write_checkpoint,
    write_safetensors,
)
from refusals import refusal

from GDLACore.calibration.input_check import AGREES
from GDLACore.errors import Cancelled, ModelFileError, OutputError
from GDLACore.export.model_file import onnx_model
from GDLACore.model.catalogue import CatalogueEntry, find
from GDLACore.model.onnx_file import check_onnx_file
from GDLACore.resources import resource_path
from GDLACore.storage import (
    READY,
    Control,
    examination,
    examine,
    find_model,
    import_model,
    importing,
)
from GDLACore.weights.loading import load_weights

DEMO = resource_path("models", "demo-ct.safetensors")


@pytest.fixture(scope="module")
def weights():
    return recipe()


@pytest.fixture(scope="module")
def exported() -> bytes:
    return onnx_model(load_weights("demo-ct"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder of the user's."""
    folder = tmp_path / "user"
    folder.mkdir()
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


def known(*cards: object, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = tuple(CatalogueEntry(card) for card in cards)
    monkeypatch.setattr(examination, "catalogue", lambda: entries)


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".checks.json"}


# Looking at a file


def test_a_model_file_says_itself_what_it_is():
    found = examine(DEMO)
    (candidate,) = found.candidates
    assert found.brings_card and candidate.card == find("demo-ct").card
    assert candidate.inputs.outcome == AGREES
    classes = candidate.card.classes
    assert candidate.sentence.startswith(
        f"{classes} classes, 1 channel: fits {candidate.card.title}."
    )
    assert candidate.sentence.endswith("as the card's ct_window gives.")


def test_an_onnx_file_tells_nothing_of_its_inputs(source, exported):
    path = source / "demo.onnx"
    path.write_bytes(exported)
    (candidate,) = examine(path).candidates
    assert candidate.inputs is None and candidate.sentence.endswith(f"{candidate.card.title}.")


def test_a_checkpoint_is_each_model_that_it_fits(source, weights, monkeypatch):
    other = replace(CARD, name="other", modality="MR")
    wider = replace(CARD, name="wider", labels=CARD.labels[:2])
    larger = replace(CARD, name="larger", architecture=replace(CARD.architecture, encoder="b2"))
    linear = replace(CARD, name="linear", architecture=replace(CARD.architecture, mixer="linear"))
    known(CARD, wider, other, larger, linear, monkeypatch=monkeypatch)
    path = source / "best.ckpt"
    path.write_bytes(official_checkpoint(weights))
    found = examine(path)
    assert not found.brings_card
    assert [candidate.card.name for candidate in found.candidates] == ["abdomen", "other"]
    assert all("4 classes, 1 channel: fits Abdomen." in c.sentence for c in found.candidates)


def test_a_card_beside_a_checkpoint_says_which_model_it_is(source, weights):
    path = write_checkpoint(source / "best.ckpt", weights)
    assert [c.card for c in examine(path).candidates] == [CARD]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.ckpt", None, "does not exist"),
        ("empty.pth", b"", "is empty"),
        ("notes.txt", b"text", "is not a model file"),
        ("notes.onnx", b"text", "is not an ONNX file"),
        ("folder.onnx", "folder", "is a folder"),
        ("small.safetensors", b"{}", "is cut off"),
        ("x.ckpt", b"MZ not a checkpoint", ""),
    ],
)
def test_what_is_no_model_is_refused(source, folder, name, content, message):
    path = source / name
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    assert message in refusal(path, examine)
    refusal(path, lambda path: import_model(path, folder))
    assert list(folder.glob("*.onnx")) == []


def test_a_checkpoint_of_an_unknown_model_is_refused(source, weights, monkeypatch):
    known(find("synapse").card, monkeypatch=monkeypatch)
    path = source / "best.ckpt"
    path.write_bytes(official_checkpoint(weights))
    assert "does not say which model it is" in refusal(path, examine)


def test_code_in_a_checkpoint_is_not_run(source, folder):
    victim = source / "victim"
    victim.write_text("alive")

    class Bomb:
        def __reduce__(self):
            return os.remove, (str(victim),)

    path = source / "bomb.pth"
    path.write_bytes(pickle.dumps({"model_state_dict": Bomb()}, 2))
    refusal(path, examine)
    refusal(path, lambda path: import_model(path, folder))
    assert victim.exists()


# Taking it into the folder


def test_an_onnx_file_is_copied_and_stays_where_it_was(source, folder, exported):
    path = source / "download (1).onnx"
    path.write_bytes(exported)
    seen = []
    control = Control(lambda *progress: seen.append(progress))
    report = import_model(path, folder, control=control)
    assert report.path == folder / "demo-ct.onnx" and not report.was_there
    assert report.path.read_bytes() == path.read_bytes() == exported
    assert ("copying", len(exported), len(exported)) in seen
    assert visible(folder) == {"demo-ct.onnx"}


@pytest.mark.parametrize("kind", ["model.ckpt", "model.pth", "model.safetensors"])
def test_a_checkpoint_becomes_an_onnx_file(source, folder, weights, kind):
    write = write_safetensors if kind.endswith("safetensors") else write_checkpoint
    path = write(source / kind, weights)
    before = {file: file.read_bytes() for file in source.iterdir()}
    report = import_model(path, folder)
    assert (report.path, report.card) == (folder / "abdomen.onnx", CARD)
    assert check_onnx_file(report.path) == CARD
    assert report.found.inputs is not None
    assert {file: file.read_bytes() for file in source.iterdir()} == before
    model = find_model("abdomen.onnx", folder)
    assert (model.state, model.checked) == (READY, True)


def test_the_card_of_a_checkpoint_is_named(source, folder, weights):
    path = write_checkpoint(source / "best.ckpt", weights)
    card = path.with_suffix(".card.json").rename(source / "mine.json")
    with pytest.raises(ModelFileError, match="does not say which model it is"):
        import_model(path, folder)
    assert import_model(path, folder, card=card).card == CARD
    with pytest.raises(ModelFileError, match="but the card synapse says 9"):
        import_model(path, folder, card="synapse")


def test_the_card_inside_an_onnx_file_stays(source, folder, exported):
    path = source / "demo.onnx"
    path.write_bytes(exported)
    card = find("demo-ct").card
    changed, same = source / "changed.json", source / "same.json"
    changed.write_text(replace(card, title="Mine").to_json(), "utf-8")
    same.write_text(card.to_json(), "utf-8")
    with pytest.raises(ModelFileError, match="brings a card of its own"):
        import_model(path, folder, card=changed)
    assert import_model(path, folder, card=same).path.exists()
    assert import_model(path, folder, card="demo-ct").was_there


def test_the_same_model_is_taken_once(source, folder, weights):
    path = write_checkpoint(source / "best.ckpt", weights)
    first = import_model(path, folder)
    modified = first.path.stat().st_mtime_ns
    second = import_model(path, folder)
    assert (first.was_there, second.was_there) == (False, True)
    assert second.path.stat().st_mtime_ns == modified
    assert import_model(first.path, folder).was_there


def test_another_model_of_the_same_name_is_not_overwritten(source, folder, weights):
    first = import_model(write_checkpoint(source / "a.ckpt", weights), folder).path
    content = first.read_bytes()
    other = {**weights, "head.bias": weights["head.bias"] + 1}
    path = write_checkpoint(source / "b.ckpt", other)
    with pytest.raises(OutputError, match="Another model is in the model folder as abdomen.onnx"):
        import_model(path, folder)
    assert first.read_bytes() == content
    assert import_model(path, folder, name="abdomen-2").path == folder / "abdomen-2.onnx"
    assert visible(folder) == {"abdomen.onnx", "abdomen-2.onnx"}


@pytest.mark.parametrize("name", ["../escape", "a/b", "a\\b", "..", "a.", "a b", "a\n", "é"])
def test_a_name_that_is_not_one_for_a_file_is_refused(source, folder, weights, name):
    path = write_checkpoint(source / "a.ckpt", weights)
    with pytest.raises(OutputError, match="A model cannot be called"):
        import_model(path, folder, name=name)


@pytest.mark.parametrize(
    ("kind", "phase"),
    [
        ("ckpt", "reading"),
        ("ckpt", "writing"),
        ("onnx", "reading"),
        ("onnx", "checking"),
        ("onnx", "copying"),
    ],
)
def test_a_cancelled_import_leaves_nothing(source, folder, weights, exported, kind, phase):
    path = source / f"a.{kind}"
    if kind == "ckpt":
        write_checkpoint(path, weights)
    else:
        path.write_bytes(exported)
    control = Control(lambda now, *_: control.cancel() if now == phase else None)
    with pytest.raises(Cancelled):
        import_model(path, folder, control=control)
    assert visible(folder) == set()


def test_a_copy_that_went_wrong_is_not_kept(source, folder, exported, monkeypatch):
    path = source / "a.onnx"
    path.write_bytes(exported)

    def broken(source: Path, target: Path, control: Control) -> None:
        target.write_bytes(exported[:-8] + bytes(8))

    monkeypatch.setattr(importing, "_copy", broken)
    with pytest.raises(ModelFileError, match="damaged"):
        import_model(path, folder)
    assert visible(folder) == set()


def test_a_folder_that_cannot_be_made_is_told(source, weights):
    path = write_checkpoint(source / "a.ckpt", weights)
    with pytest.raises(OutputError, match="cannot be made: it is not a folder"):
        import_model(path, path)
