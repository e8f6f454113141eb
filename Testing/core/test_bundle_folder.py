"""The folder of a bundle: replaced whole or not at all, checked where it arrives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bundle_folders import files, guide_of, plan, siblings
from command_line import run_gdla
from model_files import recipe, write_checkpoint
from wheel_files import LINUX, WINDOWS, write_engine, write_wheel

from GDLACore.errors import Cancelled, DownloadError, OutputError
from GDLACore.offline import PLATFORMS, bundle, no_wheels, verify, write_bundle
from GDLACore.offline.fetching import fetch_wheels
from GDLACore.storage import Control, find_model, import_model


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
