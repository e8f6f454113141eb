"""``gdla models`` lists, downloads, imports, checks and removes; other commands find it all."""

from __future__ import annotations

import hashlib
import json
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import ThresholdEngine, run_gdla
from file_server import served, status
from model_files import CARD, official_checkpoint, onnx_file, recipe, write_checkpoint

from GDLACore.cli import models as command
from GDLACore.cli import segment as segment_command
from GDLACore.cli import storage_parsers, stored_model
from GDLACore.model.bundle import CARD_KEY
from GDLACore.model.catalogue import catalogue, find
from GDLACore.offline import FLAVOURS, PLATFORMS
from GDLACore.storage import RemoteFile, StoredModel, listing, model_folder


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The model folder, of these tests and not of whoever runs them."""
    folder = tmp_path / "models"
    monkeypatch.setenv("GDLA_MODEL_DIR", str(folder))
    return folder


@pytest.fixture(scope="module")
def weights():
    return recipe()


@pytest.fixture
def checkpoint(tmp_path: Path, weights) -> Path:
    return write_checkpoint(tmp_path / "best.ckpt", weights)


def put_onnx(folder: Path, name: str, card: str = "liver") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.onnx"
    path.write_bytes(onnx_file(metadata={CARD_KEY: replace(CARD, name=card).to_json()}))
    return path


def test_an_imported_model_is_listed_and_removed(folder, checkpoint, capsys):
    assert run_gdla("models", "import", checkpoint) == 0
    printed = capsys.readouterr().out
    assert "4 classes, 1 channel: fits Abdomen. The weights do not tell" in printed
    assert f"Imported: {folder / 'abdomen.onnx'}" in printed
    assert run_gdla("models", "import", checkpoint) == 0
    assert "Was there already" in capsys.readouterr().out
    assert run_gdla("models", "--json") == 0
    (model,) = [m for m in json.loads(capsys.readouterr().out) if m["name"] == "abdomen.onnx"]
    assert (model["state"], model["checked"], model["title"]) == ("ready", True, "Abdomen")
    assert run_gdla("models", "remove", "abdomen.onnx") == 0
    assert "Removed: abdomen.onnx" in capsys.readouterr().out
    assert not (folder / "abdomen.onnx").exists() and checkpoint.exists()


def test_the_list_says_where_each_model_is(folder, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")  # no words broken apart
    put_onnx(folder, "mine")
    put_onnx(folder, "broken").write_bytes(b"")
    assert run_gdla("models") == 0
    printed = capsys.readouterr().out
    for text in ("built in", "from its authors", "mine.onnx", "damaged"):
        assert text in printed
    assert f"broken.onnx: {folder / 'broken.onnx'} is empty." in printed
    assert f"Model folder: {folder} (" in printed


def test_quiet_commands_print_nothing(folder, checkpoint, capsys):
    for words in (("import", checkpoint), ("check",), ("remove", "abdomen.onnx")):
        assert run_gdla("models", *words, "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_one_wrong_name_removes_nothing(folder, capsys):
    path = put_onnx(folder, "mine")
    assert run_gdla("models", "remove", "mine.onnx", "mien.onnx") == 1
    assert "Did you mean mine.onnx?" in capsys.readouterr().err and path.exists()


def test_all_models_are_checked_and_the_damaged_ones_told(folder, checkpoint, weights, capsys):
    assert run_gdla("models", "import", checkpoint, "--quiet") == 0
    (folder / "other.pth").write_bytes(official_checkpoint(weights)[:-5000])
    assert run_gdla("models", "check") == 1
    printed = capsys.readouterr()
    assert "abdomen.onnx: sound" in printed.out and "other.pth: " in printed.out
    assert "1 of 3 models cannot be used: other.pth." in printed.err
    assert run_gdla("models", "check", "abdomen.onnx") == 0


def test_a_model_without_an_address_is_not_downloaded(capsys):
    assert run_gdla("models", "download", "synapse") == 1
    assert "No address is known from which synapse could be downloaded" in capsys.readouterr().err


def test_a_download_ends_in_the_folder(folder, monkeypatch, capsys):
    body = b"weights" * 1000
    with served(body) as server:
        entry = replace(find("synapse"), file="best.ckpt", sha256=hashlib.sha256(body).hexdigest())
        monkeypatch.setattr(command, "find", lambda name: replace(entry, url=server.url))
        assert run_gdla("models", "download", "synapse") == 0
        assert (folder / "synapse.ckpt").read_bytes() == body
        assert "Downloaded and checked" in capsys.readouterr().out
        server.script = [status(404)]
        (folder / "synapse.ckpt").unlink()
        assert run_gdla("models", "download", "synapse") == 1
        assert "does not exist any more" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"url": None}, "No address is known"),
        ({"sha256": None}, "No checksum is known"),
        ({"file": "model.zip"}, "does not end like a model file"),
        ({"file": None, "url": "https://example.org/"}, "does not end like a model file"),
    ],
)
def test_only_what_can_be_checked_is_downloaded(monkeypatch, capsys, changes, message):
    known = {"file": "a.ckpt", "sha256": "0" * 64, "url": "https://example.org/a.ckpt"}
    entry = replace(find("synapse"), **{**known, **changes})
    monkeypatch.setattr(command, "find", lambda name: entry)
    assert run_gdla("models", "download", "synapse") == 1
    assert message in capsys.readouterr().err


def test_a_downloaded_file_is_called_after_its_model():
    entry = replace(
        find("acdc"),
        file=None,
        sha256="0" * 64,
        url="https://example.org/a/best%20model.PTH?x=.zip",
    )
    assert command.remote_file(entry) == RemoteFile("acdc.pth", entry.url, "0" * 64)


# Other commands


def test_a_stored_model_is_named_like_one_of_the_catalogue(folder, tmp_path, ct, monkeypatch):
    asked = []

    def load(model: str, **options: object) -> ThresholdEngine:
        asked.append((model, options["card"]))
        return ThresholdEngine(CARD)

    monkeypatch.setattr(segment_command, "load_engine", load)
    path = put_onnx(folder, "mine")
    (folder / "synapse.ckpt").write_bytes(b"\x80 no zip file")
    outputs = iter(tmp_path / f"{number}.nii.gz" for number in range(9))
    for name, card in (
        ("mine.onnx", None),
        ("liver", None),
        ("synapse", None),
        ("synapse", "x.json"),
        ("demo-ct", None),
        ("unknown", None),
        (tmp_path / "no.onnx", None),
    ):
        options = () if card is None else ("--card", card)
        run_gdla("segment", ct, "-o", next(outputs), "--quiet", "--model", name, *options)
    assert asked == [
        (str(path), None),
        (str(path), None),
        (str(folder / "synapse.ckpt"), "synapse"),
        (str(folder / "synapse.ckpt"), "x.json"),
        ("demo-ct", None),
        ("unknown", None),
        (str(tmp_path / "no.onnx"), None),
    ]


def test_a_damaged_model_is_not_used(folder, ct, tmp_path, capsys):
    put_onnx(folder, "mine").write_bytes(b"")
    out = tmp_path / "out.nii.gz"
    assert run_gdla("segment", ct, "-o", out, "--model", "mine.onnx") == 1
    assert "mine.onnx is empty. Remove it with gdla models remove mine" in capsys.readouterr().err


def test_a_model_that_can_be_downloaded_is_said_to_be(ct, tmp_path, monkeypatch, capsys):
    entry = replace(find("synapse"), url="https://example.org/a.ckpt")
    absent = StoredModel("synapse", "absent", entry=entry)
    monkeypatch.setattr(stored_model, "find_model", lambda name, folder: absent)
    assert run_gdla("segment", ct, "-o", tmp_path / "o.nii.gz", "--model", "synapse") == 1
    assert "Get it with gdla models download synapse." in capsys.readouterr().err


def test_a_folder_that_cannot_be_read_does_not_hinder_the_shipped_model(folder):
    folder.write_bytes(b"")
    arguments = Namespace(model="demo-ct", card=None)
    assert stored_model.with_stored_model(arguments) is arguments


def test_a_stored_checkpoint_is_exported_to_where_one_is(folder, weights, tmp_path, monkeypatch):
    entry = replace(find("synapse"), card=replace(CARD, name="synapse"))
    monkeypatch.setattr(listing, "catalogue", lambda: (entry,))
    monkeypatch.chdir(tmp_path)
    folder.mkdir()
    write_checkpoint(folder / "synapse.ckpt", weights, entry.card)
    assert run_gdla("export", "synapse", "--quiet") == 0
    assert (tmp_path / "synapse.onnx").is_file() and not (folder / "synapse.onnx").exists()


def test_what_can_be_typed_is_what_there_is():
    assert storage_parsers.PLATFORMS == tuple(PLATFORMS)
    assert storage_parsers.FLAVOURS == FLAVOURS
    assert model_folder().name == "models" and catalogue()
