"""``gdla bundle``: a folder with all that is needed, which can be checked where it arrives."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from bundle_folders import files, guide_of, plan, siblings
from command_line import run_gdla
from model_files import CARD, official_checkpoint, recipe, write_checkpoint
from wheel_files import LINUX, WINDOWS, write_engine

from GDLACore.errors import OutputError
from GDLACore.model.catalogue import find
from GDLACore.offline import no_wheels, verify, write_bundle
from GDLACore.storage import find_model, import_model, list_models, listing
from GDLACore.weights import card_choice


@pytest.fixture(scope="module")
def weights():
    return recipe()


@pytest.fixture
def folder(tmp_path: Path, weights, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The model folder, with one model."""
    folder = tmp_path / "models"
    import_model(write_checkpoint(tmp_path / "best.ckpt", weights), folder)
    monkeypatch.setenv("GDLA_MODEL_DIR", str(folder))
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "bundle"


def test_a_bundle_has_models_wheels_checksums_and_a_guide(folder, out, tmp_path, capsys):
    write_engine(tmp_path / "wheelhouse")
    assert run_gdla("bundle", "-o", out, "--wheels", tmp_path / "wheelhouse") == 0
    assert "Models: abdomen.onnx" in capsys.readouterr().out
    assert files(out) == {
        "INSTALL.md",
        "SHA256SUMS",
        "models/abdomen.onnx",
        "wheels/wheels.txt",
        "wheels/flatbuffers-25.12.19-py2.py3-none-any.whl",
        "wheels/onnxruntime-1.32.0-cp312-cp312-win_amd64.whl",
        "wheels/protobuf-7.36.2-cp310-abi3-win_amd64.whl",
    }
    assert (out / "models" / "abdomen.onnx").read_bytes() == (folder / "abdomen.onnx").read_bytes()
    assert verify(out).whole and not verify(out).unknown
    assert not [name for name in siblings(out) if name.startswith(".")]


def test_the_list_names_version_checksum_and_file_of_every_wheel(folder, out, tmp_path):
    engine = write_engine(tmp_path / "wheelhouse")
    run_gdla("bundle", "-o", out, "--wheels", engine.parent, "--quiet")
    digest = hashlib.sha256(engine.read_bytes()).hexdigest()
    line = f"onnxruntime==1.32.0  {digest}  {engine.name}"
    assert line in (out / "wheels" / "wheels.txt").read_text().splitlines()


def test_without_wheels_the_guide_says_how_to_get_them(folder, out):
    platforms = ("windows", "linux", "macos-arm64", "macos-x86_64")
    assert run_gdla("bundle", "-o", out, "--quiet", "--platform", *platforms) == 0
    listed = (out / "wheels" / "wheels.txt").read_text()
    for version in ("onnxruntime==1.32.0", "onnxruntime==1.23.2"):
        assert version in listed
    for text in (guide_of(out), listed):
        for tag in ("win_amd64", LINUX, "macosx_14_0_arm64", "macosx_13_0_x86_64"):
            assert f"--platform {tag}" in text
        assert '--dest wheels "onnxruntime>=1.23"' in text


def test_the_guide_is_for_the_computers_that_were_asked_for(folder, out, tmp_path):
    write_engine(tmp_path / "wheelhouse")
    run_gdla("bundle", "-o", out, "--wheels", tmp_path / "wheelhouse", "--quiet")
    text = guide_of(out)
    assert "PythonSlicer.exe" in text and "Slicer.app" not in text and "/opt/Slicer" not in text
    assert 'pip install --no-index --find-links wheels --only-binary :all: "onnxruntime"' in text
    assert "not in this folder yet" not in text and "pip download" not in text
    assert "`models/abdomen.onnx`: Abdomen (CT)" in text
    assert "Abdomen: Apache-2.0. tests" in text
    assert "not for clinical use" in " ".join(text.split())


def test_the_guide_fits_on_two_pages(folder, out):
    run_gdla("bundle", "-o", out, "--quiet")
    assert len(guide_of(out).splitlines()) < 130


def test_the_guide_names_the_hosts_of_the_models(folder, out):
    entry = replace(find("synapse"), url="https://models.example.org/a.ckpt")
    model = replace(find_model("abdomen.onnx", folder), entry=entry)
    write_bundle(out, plan(model), no_wheels)
    assert "`pypi.org`, `files.pythonhosted.org`, `models.example.org`" in guide_of(out)


def test_a_bundle_can_be_without_models(tmp_path, out, monkeypatch, capsys):
    monkeypatch.setenv("GDLA_MODEL_DIR", str(tmp_path / "none"))
    assert run_gdla("bundle", "-o", out) == 0
    assert "none but the one in the extension" in capsys.readouterr().out
    assert "There are none in this folder." in guide_of(out)


def test_models_of_a_bundle_can_be_used_where_they_arrive(folder, out, weights, monkeypatch):
    entry = replace(find("synapse"), card=replace(CARD, name="synapse"))
    monkeypatch.setattr(listing, "catalogue", lambda: (entry,))
    monkeypatch.setattr(card_choice, "find", lambda name: entry)
    (folder / "synapse.ckpt").write_bytes(official_checkpoint(weights))
    assert run_gdla("bundle", "-o", out, "--quiet") == 0
    assert files(out / "models") == {"abdomen.onnx", "synapse.ckpt", "synapse.card.json"}
    monkeypatch.setattr(listing, "catalogue", tuple)  # another version of the program
    states = {model.name: model.state for model in list_models(out / "models")}
    assert states == {"abdomen.onnx": "ready", "synapse.ckpt": "ready"}


def test_json_names_the_files(folder, out, capsys):
    assert run_gdla("bundle", "-o", out, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["bytes"] == sum((out / name).stat().st_size for name in files(out))
    assert set(facts["files"]) == files(out) - {"SHA256SUMS"}


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--models", "synapse"), "synapse is not on this computer"),
        (("--models", "nothing"), "No model is called 'nothing'"),
        (("--build", "directml", "--platform", "linux"), "no onnxruntime-directml for Linux"),
        (("--python", "3.9"), "There is no onnxruntime for Windows and Python 3.9"),
        (("--wheels", "nowhere"), "nowhere cannot be read"),
    ],
)
def test_what_cannot_be_collected_is_refused_and_nothing_written(
    folder, out, capsys, options, message
):
    before = siblings(out)
    assert run_gdla("bundle", "-o", out, *options) == 1
    assert message in capsys.readouterr().err
    assert siblings(out) == before


def test_wheels_for_another_python_are_refused(folder, out, tmp_path, capsys):
    write_engine(tmp_path / "wheelhouse", WINDOWS, "cp311")
    assert run_gdla("bundle", "-o", out, "--wheels", tmp_path / "wheelhouse") == 1
    assert "is for Python 3.11" in capsys.readouterr().err
    options = ("--wheels", tmp_path / "wheelhouse", "--python", "3.11", "--quiet")
    assert run_gdla("bundle", "-o", out, *options) == 0


def test_a_damaged_model_is_not_passed_on(folder, out, capsys):
    path = folder / "abdomen.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, (1, 1))
    assert run_gdla("bundle", "-o", out) == 1
    assert "is damaged or was changed" in capsys.readouterr().err and not out.exists()
    assert run_gdla("bundle", "-o", out, "--models", "abdomen.onnx") == 1
    assert run_gdla("bundle", "-o", out, "--quiet") == 0  # known to be damaged, and left out
    assert files(out / "models") == set()


@pytest.mark.parametrize("words", [(), ("-o", "a", "--check", "b"), ("-o", "")])
def test_the_command_needs_one_thing_to_do(words):
    with pytest.raises(SystemExit):
        run_gdla("bundle", *words)


@pytest.mark.parametrize("version", ["3", "312", "3.x", "2.7", "3.12.1"])
def test_the_version_of_python_is_two_numbers(version):
    with pytest.raises(SystemExit):
        run_gdla("bundle", "-o", "a", "--python", version)


def test_a_place_that_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="file is a file"):
        write_bundle(tmp_path / "file", plan())
    with pytest.raises(OutputError, match="does not exist"):
        write_bundle(tmp_path / "none" / "bundle", plan())
