"""``gdla bundle``: a folder with all that is needed, which can be checked where it arrives."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import run_gdla
from model_files import CARD, official_checkpoint, recipe, write_checkpoint
from wheel_files import LINUX, WINDOWS, write_engine, write_wheel

from GDLACore.errors import Cancelled, DownloadError, OutputError
from GDLACore.model.catalogue import find
from GDLACore.offline import PLATFORMS, BundlePlan, bundle, no_wheels, verify, write_bundle
from GDLACore.offline.fetching import fetch_wheels
from GDLACore.storage import Control, find_model, import_model, list_models, listing
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


def plan(*models: object, platforms: tuple[str, ...] = ("windows",)) -> BundlePlan:
    return BundlePlan(models, tuple(PLATFORMS[name] for name in platforms), (3, 12), "cpu")


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def siblings(folder: Path) -> set[str]:
    return {path.name for path in folder.parent.iterdir()}


def guide_of(folder: Path) -> str:
    return (folder / "INSTALL.md").read_text("utf-8")


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


# An older bundle


def test_an_older_bundle_is_replaced_only_when_allowed(folder, out, capsys):
    assert run_gdla("bundle", "-o", out, "--quiet") == 0
    assert run_gdla("bundle", "-o", out, "--quiet") == 1
    assert "exists already" in capsys.readouterr().err
    before = siblings(out)
    assert run_gdla("bundle", "-o", out, "--quiet", "--force", "--platform", "linux") == 0
    assert "**Linux**" in guide_of(out) and verify(out).whole
    assert siblings(out) == before


def test_an_empty_folder_may_be_filled(folder, out):
    out.mkdir()
    write_bundle(out, plan())
    assert verify(out).whole


@pytest.mark.parametrize("precious", ["thesis.docx", "models/mine.onnx", ".hidden"])
def test_a_folder_with_anything_else_is_never_replaced(out, precious):
    write_bundle(out, plan())
    (out / precious).write_text("years of work")
    with pytest.raises(OutputError, match=f"but holds {precious}"):
        write_bundle(out, plan(), overwrite=True)
    assert (out / precious).read_text() == "years of work"


def test_a_folder_that_is_no_bundle_is_never_replaced(out):
    out.mkdir()
    (out / "thesis.docx").write_text("years of work")
    with pytest.raises(OutputError, match="is not a bundle"):
        write_bundle(out, plan(), overwrite=True)
    assert files(out) == {"thesis.docx"}


@pytest.mark.parametrize("failing", ["write_checksums", "guide", "_copy_models"])
def test_a_failure_leaves_the_older_bundle_as_it_was(folder, out, monkeypatch, failing):
    write_bundle(out, plan(), no_wheels)
    before = {name: (out / name).read_bytes() for name in files(out)}

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle, failing, fail)
    with pytest.raises(OutputError, match="No space left on device") as caught:
        write_bundle(out, plan(find_model("abdomen.onnx", folder)), overwrite=True)
    assert str(out) in caught.value.message
    assert {name: (out / name).read_bytes() for name in files(out)} == before
    assert not [name for name in siblings(out) if name.startswith(".")]


def test_an_older_bundle_comes_back_if_the_new_one_cannot_take_its_place(out, monkeypatch):
    write_bundle(out, plan())
    replace_path = Path.replace

    def fail(path: Path, target: Path) -> Path:
        if path.suffix == ".part" and target == out:
            raise PermissionError(13, "in use")
        return replace_path(path, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OutputError, match="in use"):
        write_bundle(out, plan(), overwrite=True)
    assert verify(out).whole and not [n for n in siblings(out) if n.startswith(".")]


def test_a_cancelled_bundle_is_not_there(folder, out):
    control = Control(lambda phase, *_: control.cancel() if phase == "copying" else None)
    with pytest.raises(Cancelled):
        write_bundle(out, plan(find_model("abdomen.onnx", folder)), control=control)
    assert not [name for name in siblings(out) if name.startswith((".", "bundle"))]


# The check where it arrives


def test_a_whole_bundle_is_found_whole_by_us_and_by_the_system(folder, out, capsys):
    run_gdla("bundle", "-o", out, "--quiet")
    assert run_gdla("bundle", "--check", out) == 0
    assert "3 files are as they were written." in capsys.readouterr().out
    if sys.platform == "linux":
        subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=out, check=True)


def test_what_is_missing_changed_or_added_is_told(folder, out, capsys):
    run_gdla("bundle", "-o", out, "--quiet")
    (out / "INSTALL.md").unlink()
    with (out / "models" / "abdomen.onnx").open("ab") as file:
        file.write(b"\0")
    (out / "models" / "new.onnx").write_bytes(b"")
    assert run_gdla("bundle", "--check", out) == 1
    printed = capsys.readouterr()
    for line in ("missing: INSTALL.md", "changed: models/abdomen.onnx", "unknown: models/new.onnx"):
        assert line in printed.out
    assert "2 files are missing or changed, first INSTALL.md." in printed.err
    assert run_gdla("bundle", "--check", out, "--json") == 1
    assert json.loads(capsys.readouterr().out)["changed"] == ["models/abdomen.onnx"]


@pytest.mark.parametrize("content", [None, b"", b"not checksums\n", b"\xff\xfe", b"abc  file\n"])
def test_a_folder_without_usable_checksums_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "SHA256SUMS").write_bytes(content)
    with pytest.raises(DownloadError, match="SHA256SUMS"):
        verify(tmp_path)


# Wheels by pip, from a folder in place of an index


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which pip looks for packages, and nowhere else."""
    pytest.importorskip("pip")
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_pip_fetches_what_another_computer_needs(folder, out, index):
    write_engine(index)
    write_engine(index, LINUX)
    for platform in (WINDOWS, LINUX):
        write_wheel(index, "numpy", "2.5.0", f"cp312-cp312-{platform}")
    options = ("--fetch-wheels", "--platform", "windows", "linux", "--quiet")
    assert run_gdla("bundle", "-o", out, *options) == 0
    packages = sorted(name.partition("-")[0] for name in files(out / "wheels"))
    assert packages == ["flatbuffers", *["onnxruntime"] * 2, *["protobuf"] * 2, "wheels.txt"]


def test_without_a_network_it_is_said_how_else_to_get_wheels(folder, out, index, capsys):
    assert run_gdla("bundle", "-o", out, "--fetch-wheels") == 1
    printed = capsys.readouterr().err
    assert "pip could not fetch onnxruntime for Windows: No matching distribution" in printed
    assert "name it with --wheels" in printed and not out.exists()


def test_without_pip_it_is_said_how_else_to_get_wheels(tmp_path):
    build = PLATFORMS["windows"].build("cpu", (3, 12))
    arguments = (build, PLATFORMS["windows"], (3, 12), tmp_path)
    with pytest.raises(DownloadError, match="pip cannot be run: No such file"):
        fetch_wheels(*arguments, pip=(str(tmp_path / "python"),))
    with pytest.raises(DownloadError, match="No module named"):
        fetch_wheels(*arguments, pip=(sys.executable, "-m", "no_pip_here"))
