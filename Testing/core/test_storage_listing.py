"""What a list of the models says, without reading more than the beginnings of files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from model_files import (
    CARD,
    official_checkpoint,
    onnx_file,
    recipe,
    write_checkpoint,
    write_safetensors,
)

from GDLACore.errors import ModelFileError, OutputError
from GDLACore.model.bundle import CARD_KEY
from GDLACore.model.catalogue import catalogue, find
from GDLACore.storage import (
    ABSENT,
    DAMAGED,
    READY,
    check_model,
    find_model,
    list_models,
    listing,
    model_folder,
    size_on_disk,
)
from GDLACore.storage.part import part_path

KNOWN = [entry.name for entry in catalogue()]


@pytest.fixture(scope="module")
def weights():
    return recipe()


def of_card(name: str) -> bytes:
    """Return an ONNX file, as far as a list looks at it, with the card ``name``."""
    return onnx_file(metadata={CARD_KEY: replace(CARD, name=name).to_json()})


def by_name(folder: Path) -> dict[str, object]:
    return {model.name: model for model in list_models(folder)}


@pytest.mark.parametrize("exists", [True, False])
def test_without_any_files_the_catalogue_is_listed(tmp_path, exists):
    models = list_models(tmp_path if exists else tmp_path / "none")
    assert [model.name for model in models] == KNOWN
    states = {model.name: (model.state, model.shipped) for model in models}
    assert states.pop("demo-ct") == (READY, True)
    assert set(states.values()) == {(ABSENT, False)}
    assert all(model.card == find(model.name).card for model in models)


def test_a_folder_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="file cannot be read: it is not a folder"):
        list_models(tmp_path / "file")


def test_an_imported_model_of_the_catalogue_is_the_catalogues(tmp_path):
    (tmp_path / "anything.onnx").write_bytes(of_card("synapse"))
    synapse = by_name(tmp_path)["synapse"]
    assert (synapse.state, synapse.path) == (READY, tmp_path / "anything.onnx")
    assert synapse.card_name is None and synapse.entry == find("synapse")
    assert list(by_name(tmp_path)) == KNOWN


def test_a_second_file_of_a_model_is_listed_by_its_name(tmp_path):
    for name in ("synapse.onnx", "best.onnx"):
        (tmp_path / name).write_bytes(of_card("synapse"))
    models = by_name(tmp_path)
    assert models["synapse"].path.name == "synapse.onnx"
    assert models["best.onnx"].card.name == "synapse" and models["best.onnx"].entry is None


def test_a_checkpoint_named_after_a_model_is_used_with_its_card(tmp_path, weights):
    (tmp_path / "synapse.ckpt").write_bytes(official_checkpoint(weights))
    synapse = by_name(tmp_path)["synapse"]
    assert (synapse.state, synapse.card_name) == (READY, "synapse")


def test_a_checkpoint_with_a_card_beside_it_is_used_with_that(tmp_path, weights):
    write_checkpoint(tmp_path / "mine.ckpt", weights)
    mine = by_name(tmp_path)["mine.ckpt"]
    assert (mine.state, mine.card, mine.card_name) == (READY, CARD, None)


def test_a_checkpoint_called_as_its_authors_call_it_is_recognised(tmp_path, weights, monkeypatch):
    entries = [replace(find("synapse"), file="best_a.pth"), replace(find("acdc"), file="last.pth")]
    entries.append(replace(find("busi"), file="last.pth"))
    monkeypatch.setattr(listing, "catalogue", lambda: tuple(entries))
    for name in ("best_a.pth", "last.pth"):
        (tmp_path / name).write_bytes(official_checkpoint(weights))
    models = by_name(tmp_path)
    assert (models["synapse"].state, models["synapse"].card_name) == (READY, "synapse")
    assert [models[name].state for name in ("acdc", "busi")] == [ABSENT, ABSENT]
    assert "does not say which model it is" in models["last.pth"].problem


def test_a_checkpoint_that_nothing_is_known_of_says_so(tmp_path, weights):
    (tmp_path / "x.pth").write_bytes(official_checkpoint(weights))
    model = by_name(tmp_path)["x.pth"]
    assert (model.state, model.card, model.title) == (DAMAGED, None, "x.pth")
    assert "does not say which model it is." in model.problem


@pytest.mark.parametrize(
    ("suffix", "keep"),
    [
        *((".onnx", keep) for keep in (0, 1, 50, -100)),
        *((".safetensors", keep) for keep in (0, 1, 50, -100)),
        *((".ckpt", keep) for keep in (0, 50, -100)),
    ],
)
def test_a_file_that_is_cut_off_is_damaged(tmp_path, weights, suffix, keep):
    path = tmp_path / f"synapse{suffix}"
    if suffix == ".onnx":
        path.write_bytes(of_card("synapse"))
    elif suffix == ".safetensors":
        write_safetensors(path, weights, replace(CARD, name="synapse"))
    else:
        path.write_bytes(official_checkpoint(weights))
    path.write_bytes(path.read_bytes()[:keep])
    model = by_name(tmp_path)["synapse"]
    assert model.state == DAMAGED and str(path) in model.problem


@pytest.mark.parametrize("place", [3, [1], ["a", "b"], [0, None]])
def test_a_header_that_makes_no_sense_breaks_no_list(tmp_path, place):
    header = {"__metadata__": {CARD_KEY: CARD.to_json()}, "x": {"data_offsets": place}, "y": 3}
    text = json.dumps(header).encode()
    (tmp_path / "x.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
    model = by_name(tmp_path)["x.safetensors"]
    with pytest.raises(ModelFileError):
        check_model(model)


def test_a_sound_file_goes_before_a_damaged_one_of_the_same_name(tmp_path):
    (tmp_path / "synapse.ckpt").write_bytes(b"PK damaged")
    (tmp_path / "synapse.onnx").write_bytes(of_card("synapse"))
    models = by_name(tmp_path)
    assert models["synapse"].state == READY and models["synapse.ckpt"].state == DAMAGED


def test_other_files_and_folders_are_not_listed(tmp_path):
    for name in ("notes.txt", "a.card.json", ".checks.json", "a.ckpt.part"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "folder.onnx").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.onnx")
    (tmp_path / "gone.onnx").symlink_to(tmp_path / "nowhere.onnx")
    assert list(by_name(tmp_path)) == KNOWN


def test_what_a_check_found_is_remembered_until_the_file_changes(tmp_path, weights):
    path = write_safetensors(tmp_path / "mine.safetensors", weights)
    assert not by_name(tmp_path)["mine.safetensors"].checked
    check_model(by_name(tmp_path)["mine.safetensors"])
    assert by_name(tmp_path)["mine.safetensors"].checked
    sound = path.read_bytes()
    path.write_bytes(sound[:-50] + bytes([sound[-50] ^ 0x7F]) + sound[-49:])
    os.utime(path, (1, 1))
    changed = by_name(tmp_path)["mine.safetensors"]
    assert (changed.state, changed.checked) == (READY, False)


def test_a_damage_that_a_check_found_is_listed(tmp_path, weights):
    card = replace(CARD, sha256="0" * 64)
    write_safetensors(tmp_path / "mine.safetensors", weights, card)
    with pytest.raises(ModelFileError) as caught:
        check_model(by_name(tmp_path)["mine.safetensors"])
    model = by_name(tmp_path)["mine.safetensors"]
    assert (model.state, model.problem) == (DAMAGED, caught.value.message)


def test_a_download_is_checked_against_the_catalogue(tmp_path, weights, monkeypatch):
    entry = replace(find("synapse"), file="best.ckpt", sha256="0" * 64)
    monkeypatch.setattr(listing, "catalogue", lambda: (entry,))
    (tmp_path / "synapse.ckpt").write_bytes(official_checkpoint(weights))
    with pytest.raises(ModelFileError, match="its checksum is not that of synapse"):
        check_model(find_model("synapse", tmp_path))
    assert find_model("synapse", tmp_path).state == DAMAGED


def test_what_is_not_here_cannot_be_checked(tmp_path):
    with pytest.raises(ModelFileError, match="synapse is not on this computer"):
        check_model(find_model("synapse", tmp_path))


def test_checking_a_shipped_model_leaves_its_folder_alone(tmp_path):
    model = find_model("demo-ct", tmp_path)
    before = set(model.path.parent.iterdir())
    check_model(model)
    assert set(model.path.parent.iterdir()) == before


@pytest.mark.parametrize("text", ["", "[]", '{"a.onnx": [1, 2]}', '{"a.onnx": 3}', "\x00"])
def test_a_damaged_memory_of_checks_is_forgotten(tmp_path, text):
    (tmp_path / ".checks.json").write_text(text)
    (tmp_path / "a.onnx").write_bytes(of_card("a"))
    assert by_name(tmp_path)["a.onnx"].state == READY


def test_where_nothing_may_be_written_a_check_is_not_remembered(tmp_path, weights, monkeypatch):
    write_safetensors(tmp_path / "mine.safetensors", weights)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    check_model(by_name(tmp_path)["mine.safetensors"])
    assert not by_name(tmp_path)["mine.safetensors"].checked


def test_a_model_is_found_by_its_name_or_by_that_of_its_card(tmp_path):
    (tmp_path / "mine.onnx").write_bytes(of_card("liver"))
    assert find_model("mine.onnx", tmp_path) == find_model("liver", tmp_path)
    (tmp_path / "yours.onnx").write_bytes(of_card("liver"))
    with pytest.raises(ModelFileError, match="No model is called 'liver'"):
        find_model("liver", tmp_path)


def test_a_name_that_is_not_found_is_answered_with_those_that_are(tmp_path):
    with pytest.raises(ModelFileError) as caught:
        find_model("synapsee", tmp_path)
    assert "Did you mean synapse?" in caught.value.hint and "demo-ct" in caught.value.hint


def test_begun_downloads_count_on_the_disk(tmp_path):
    part_path(tmp_path / "synapse.ckpt").write_bytes(bytes(1000))
    (tmp_path / "mine.onnx").write_bytes(of_card("mine"))
    synapse, mine = (by_name(tmp_path)[name] for name in ("synapse", "mine.onnx"))
    assert (synapse.state, synapse.size) == (ABSENT, 1000)
    assert size_on_disk(tmp_path) == 1000 + mine.size
    assert size_on_disk(tmp_path / "none") == 0


# Where the folder is


def test_the_variable_goes_before_what_the_host_says(tmp_path, monkeypatch):
    monkeypatch.setenv("GDLA_MODEL_DIR", str(tmp_path))
    assert model_folder(tmp_path / "host") == tmp_path
    monkeypatch.setenv("GDLA_MODEL_DIR", "~/models")
    assert model_folder() == Path.home() / "models"
    monkeypatch.setenv("GDLA_MODEL_DIR", "")
    assert model_folder(tmp_path / "host") == tmp_path / "host"


@pytest.mark.parametrize(
    ("platform", "variable", "expected"),
    [
        ("linux", ("XDG_DATA_HOME", "/data"), "/data/GDLASegmenter/models"),
        ("linux", ("XDG_DATA_HOME", "relative"), "~/.local/share/GDLASegmenter/models"),
        ("linux", ("XDG_DATA_HOME", ""), "~/.local/share/GDLASegmenter/models"),
        ("darwin", ("HOME", "/Users/x"), "~/Library/Application Support/GDLASegmenter/models"),
        ("win32", ("LOCALAPPDATA", "/local"), "/local/GDLASegmenter/models"),
        ("win32", ("LOCALAPPDATA", ""), "~/AppData/Local/GDLASegmenter/models"),
    ],
)
def test_models_lie_among_the_users_data(monkeypatch, platform, variable, expected):
    monkeypatch.delenv("GDLA_MODEL_DIR", raising=False)
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setenv(*variable)
    assert model_folder() == Path(expected).expanduser()


def test_a_window_that_lists_models_loads_nothing_heavy():
    code = "import GDLACore.storage, GDLACore.offline, sys; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in result.stdout.split()}
    assert "numpy" in loaded
    assert not loaded & {"scipy", "SimpleITK", "pydicom", "onnxruntime", "torch", "requests"}
