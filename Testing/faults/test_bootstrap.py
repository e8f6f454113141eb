"""The worker starts from its folder alone, wherever that is, and takes nothing from around it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from observer import Observer, ct

from GDLACore.worker import Finished, ModelRequest, process
from GDLACore.worker.messages import VERSION, Hello
from GDLACore.worker.protocol import encode

ROOT = Path(__file__).resolve().parents[2]

# What a worker imports, early and late; each of these leaves a trace when it is imported.
IMPOSTORS = ("json", "logging", "numpy", "scipy", "onnxruntime", "pathlib", "typing")


def plant_impostors(folder: Path) -> None:
    for name in IMPOSTORS:
        trace = str(folder / "imported")
        (folder / f"{name}.py").write_text(f"open({trace!r}, 'x')\nraise ImportError({name!r})\n")


def copied_package(folder: Path) -> Path:
    """Copy the package into ``folder`` and return the worker's program in it."""
    ignored = shutil.ignore_patterns("__pycache__", "training", "network")
    shutil.copytree(ROOT / "GDLACore", folder / "GDLACore", ignore=ignored)
    return folder / "GDLACore" / "worker" / "__main__.py"


def greeting(command: list[str], folder: Path, **environment: str) -> dict[str, object]:
    """Start a worker in ``folder``, greet it, hang up and return its answer."""
    done = subprocess.run(
        command,
        input=encode(Hello(VERSION, 60)),
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        timeout=60,
    )
    assert done.returncode == 0
    return json.loads(done.stdout.splitlines()[0])


def test_modules_beside_the_package_in_it_or_in_the_current_folder_are_not_imported(
    observe, tmp_path, tiny_model, monkeypatch
):
    modules = tmp_path / "qt-scripted-modules"
    program = copied_package(modules)
    (tmp_path / "current").mkdir()
    for folder in modules, program.parent, tmp_path / "current":
        plant_impostors(folder)
    monkeypatch.setattr(process, "PROGRAM", program)
    monkeypatch.chdir(tmp_path / "current")
    observer: Observer = observe(python=[sys.executable])
    finished = observer.segment(model=ModelRequest(str(tiny_model), device="cpu"))
    assert isinstance(finished, Finished), (finished, observer.client.log())
    assert list(tmp_path.rglob("imported")) == []


def test_the_package_around_the_program_is_used_even_if_another_is_installed(tmp_path):
    other = tmp_path / "installed"
    (other / "GDLACore").mkdir(parents=True)
    (other / "GDLACore" / "__init__.py").write_text("raise ImportError('the wrong one')")
    program = copied_package(tmp_path / "module")
    answer = greeting([sys.executable, str(program)], tmp_path, PYTHONPATH=str(other))
    assert answer["type"] == "hello"


def test_it_starts_as_a_module_too(tmp_path):
    answer = greeting([sys.executable, "-m", "GDLACore.worker"], tmp_path, PYTHONPATH=str(ROOT))
    assert answer == {"type": "hello", "version": VERSION, "pid": answer["pid"]}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="older interpreters have no such switch")
def test_it_starts_with_an_interpreter_that_puts_no_folder_in_front(tmp_path):
    program = copied_package(tmp_path / "module")
    assert greeting([sys.executable, "-P", str(program)], tmp_path)["type"] == "hello"


@pytest.mark.parametrize(
    "folder",
    ["a folder with é ü 中文", "/".join(["x" * 60] * 4)],
    ids=["letters", "more than 200"],
)
def test_package_session_and_model_may_lie_anywhere(
    observe, tmp_path, tiny_model, monkeypatch, folder
):
    place = tmp_path / folder
    (place / "temporary").mkdir(parents=True)
    model = shutil.copy(tiny_model, place / "Modell é 中文.onnx")
    monkeypatch.setattr(process, "PROGRAM", copied_package(place / "package"))
    observer: Observer = observe(python=[sys.executable], folder=place / "temporary")
    finished = observer.segment(model=ModelRequest(str(model), device="cpu"))
    assert isinstance(finished, Finished), (finished, observer.client.log())
    observer.client.close()
    assert list((place / "temporary").iterdir()) == []


def test_the_workers_environment_is_its_own(observe, monkeypatch):
    monkeypatch.setenv("ITK_AUTOLOAD_PATH", "/slicer/plugins")
    monkeypatch.setenv("SITK_AUTOLOAD_PATH", "/slicer/plugins")
    before = dict(os.environ)
    observer: Observer = observe(python=[sys.executable])
    observer.client.start()
    observer.until(lambda: observer.client.pid is not None)
    assert os.environ == before
    if sys.platform == "linux":
        entries = Path(f"/proc/{observer.client.pid}/environ").read_text().split("\0")
        environment = dict(entry.split("=", 1) for entry in entries if entry)
        assert environment["ITK_AUTOLOAD_PATH"] == environment["SITK_AUTOLOAD_PATH"] == ""
        assert environment["PYTHONUTF8"] == environment["PYTHONUNBUFFERED"] == "1"
        assert environment["ORT_DISABLE_TELEMETRY"] == "1"


def test_the_worker_works_in_its_session_folder(observe, tmp_path):
    observer: Observer = observe(python=[sys.executable])
    assert not isinstance(observer.segment(volume=ct()), Finished)  # there is no such model
    if sys.platform == "linux":
        folder = Path(os.readlink(f"/proc/{observer.client.pid}/cwd"))
        assert folder.parent == tmp_path / "temporary"
