"""Removing a model frees its bytes, and touches nothing outside the model folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from model_files import (
    CARD,
    onnx_file,
    recipe,
    write_checkpoint,
)

from GDLACore.errors import ModelFileError, OutputError
from GDLACore.model.bundle import CARD_KEY
from GDLACore.resources import resource_path
from GDLACore.storage import (
    ABSENT,
    READY,
    find_model,
    import_model,
    list_models,
    remove_model,
)
from GDLACore.storage.part import note_path, part_path


@pytest.fixture(scope="module")
def weights():
    return recipe()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder of the user's."""
    folder = tmp_path / "user"
    folder.mkdir()
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".checks.json"}


def test_removing_a_model_sets_its_bytes_free(source, folder, weights):
    path = import_model(write_checkpoint(source / "a.ckpt", weights), folder).path
    size = path.stat().st_size
    assert remove_model(find_model("abdomen", folder), folder) == size
    assert visible(folder) == set() and (source / "a.ckpt").exists()
    assert "abdomen" not in (folder / ".checks.json").read_text()


def test_removing_a_checkpoint_removes_its_card(folder, weights):
    folder.mkdir()
    write_checkpoint(folder / "a.ckpt", weights)
    remove_model(find_model("a.ckpt", folder), folder)
    assert visible(folder) == set()


def test_a_card_that_another_checkpoint_needs_stays(folder, weights):
    folder.mkdir()
    write_checkpoint(folder / "a.ckpt", weights)
    write_checkpoint(folder / "a.pth", weights)
    remove_model(find_model("a.ckpt", folder), folder)
    assert visible(folder) == {"a.pth", "a.card.json"}


def test_removing_a_model_removes_what_was_begun_of_it(folder):
    folder.mkdir()
    target = folder / "synapse.ckpt"
    part_path(target).write_bytes(bytes(10))
    note_path(target).write_text("{}")
    assert remove_model(find_model("synapse", folder), folder) == 12
    assert visible(folder) == set()
    with pytest.raises(ModelFileError, match="is not on this computer"):
        remove_model(find_model("synapse", folder), folder)


def test_what_ships_with_the_program_is_not_removed(folder):
    with pytest.raises(ModelFileError, match="demo-ct is part of the program"):
        remove_model(find_model("demo-ct", folder), folder)
    assert resource_path("models", "demo-ct.safetensors").exists()


def test_files_elsewhere_are_not_removed(source, folder, weights):
    path = write_checkpoint(source / "a.ckpt", weights)
    folder.mkdir()
    (model,) = [model for model in list_models(source) if model.name == "a.ckpt"]
    with pytest.raises(ModelFileError, match="is not in the model folder"):
        remove_model(model, folder)
    with pytest.raises(ModelFileError, match="is not in the model folder"):
        remove_model(replace(model, path=folder / ".." / "user" / "a.ckpt"), folder)
    assert path.exists()


def test_a_link_is_removed_and_not_what_it_leads_to(source, folder):
    folder.mkdir()
    target = source / "a.onnx"
    target.write_bytes(onnx_file(metadata={CARD_KEY: CARD.to_json()}))
    (folder / "a.onnx").symlink_to(target)
    remove_model(find_model("a.onnx", folder), folder)
    assert target.exists() and visible(folder) == set()


@pytest.mark.parametrize(
    ("winerror", "message"), [(32, "is in use and cannot be removed"), (None, "cannot be removed")]
)
def test_a_file_that_cannot_be_removed_is_told(folder, monkeypatch, winerror, message):
    folder.mkdir()
    path = folder / "a.onnx"
    path.write_bytes(onnx_file())

    def refuse(_: Path, missing_ok: bool = False) -> None:
        error = PermissionError(13, "Permission denied")
        error.winerror = winerror
        raise error

    model = find_model("a.onnx", folder)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(OutputError, match=message) as caught:
        remove_model(model, folder)
    assert str(path) in caught.value.message and caught.value.hint.endswith(".")
    monkeypatch.undo()
    assert find_model("a.onnx", folder).state == READY
    assert find_model("synapse", folder).state == ABSENT
