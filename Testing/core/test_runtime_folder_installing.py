"""Installing ONNX Runtime with the real pip: all of it or nothing, and never anywhere else."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from installations import (
    AS_SLICERS,
    CUDA,
    NOTING_ITS_NUMBER,
    OF_ANOTHER_VERSION,
    PIP,
    PLAIN,
    Watched,
    launcher,
)
from package_index import PackageIndex, endless_file, serving, whole_file
from runtime_wheels import cuda_wheels, runtime_wheel, wheel

from GDLACore.installation import Line, Ready, RuntimeFolder, Step, Stopped
from GDLACore.installation.build_folders import BuildFolders
from GDLACore.installation.build_record import python_tag

ROOT = Path(__file__).resolve().parents[2]
PYTHON = python_tag()


@pytest.fixture
def index(monkeypatch) -> Iterator[PackageIndex]:
    """An index with ONNX Runtime 1.32.0, which is the only one that pip knows of."""
    for name in [name for name in os.environ if name.startswith("PIP_") or "proxy" in name.lower()]:
        monkeypatch.delenv(name)
    with serving(dict([runtime_wheel()])) as index:
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        yield index


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder of which neither the name nor the length is pleasant."""
    return tmp_path / "Lékař 中文 folder" / ("x" * 60) / "runtime"


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_one_wheel_is_fetched_tried_out_and_put_in_its_place(index, place):
    folder = RuntimeFolder(place)
    watched = Watched(folder.install(PLAIN))
    ready = watched.finished().state
    assert ready == folder.state()
    assert isinstance(ready, Ready) and ready.path == place / f"onnxruntime-1.32.0-{PYTHON}"
    assert (ready.package, ready.version) == ("onnxruntime", "1.32.0")
    assert ready.providers == ("CPUExecutionProvider",)
    assert watched.phases == ["preparing", "asking", "downloading", "unpacking", "testing"]
    assert Line("Successfully installed onnxruntime-1.32.0") in watched.events
    assert "Successfully installed" in watched.installation.log()
    # Nothing of what it asks for, no programs, and nothing that is left over.
    assert names(place) == [ready.path.name]
    assert names(ready.path) == [
        "gdla-build.json",
        "onnxruntime",
        "onnxruntime-1.32.0.dist-info",
    ]
    assert {path.rpartition("/")[2] for path in index.paths if path.endswith(".whl")} == {
        "onnxruntime-1.32.0-py3-none-any.whl"
    }


@pytest.mark.skipif(PIP < (24, 1), reason="this pip does not tell")
def test_how_much_of_a_wheel_is_there_is_told(index, place):
    index.wheels = dict([runtime_wheel(library=os.urandom(2_000_000))])
    watched = Watched(RuntimeFolder(place).install(PLAIN))
    size = len(next(iter(index.wheels.values())))
    watched.finished()
    told = [step for step in watched.events if isinstance(step, Step) and step.total]
    assert {step.subject for step in told} == {"onnxruntime 1.32.0"}
    assert {step.total for step in told} == {size} and told[-1].done == size
    assert told[0].text == "Downloading onnxruntime 1.32.0"


def test_a_newer_build_takes_the_place_of_an_older_one_and_one_that_fails_does_not(index, place):
    folder = RuntimeFolder(place)
    first = Watched(folder.install(PLAIN)).finished().state
    again = Watched(folder.install(PLAIN)).finished().state
    assert again.path.name == f"{first.path.name}-2" and names(place) == [again.path.name]
    index.wheels = dict([runtime_wheel("1.33.0")])
    newer = Watched(folder.install(PLAIN)).finished().state
    assert newer.version == "1.33.0" and names(place) == [newer.path.name]
    index.wheels = dict([runtime_wheel("1.34.0", program="import ctypes.nonsense")])
    told = Watched(folder.install(PLAIN)).error()
    assert "does not work here: ModuleNotFoundError: No module named 'ctypes.nonsense'." in told
    assert folder.state() == newer and names(place) == [newer.path.name]


def test_cuda_comes_along_and_nothing_that_slicer_has(index, place):
    index.wheels = cuda_wheels()
    ready = Watched(RuntimeFolder(place).install(CUDA)).finished().state
    assert ready.package == "onnxruntime-gpu"
    assert sorted(path.name for path in ready.path.glob("*.dist-info")) == [
        "nvidia_cublas-13.10.0.dist-info",
        "nvidia_cudnn_cu13-9.28.1.dist-info",
        "nvidia_cufft-12.5.0.dist-info",
        "onnxruntime_gpu-1.31.1.dist-info",
    ]
    assert not [path for path in index.paths if "numpy" in path or "protobuf" in path]
    (ready.path / "nvidia/cudnn/libcudnn.so.9").unlink()
    assert "libcudnn.so.9 is missing" in RuntimeFolder(place).state().text


def test_slicers_python_may_be_a_launcher(index, place, tmp_path):
    folder = RuntimeFolder(place, launcher(tmp_path, AS_SLICERS))
    assert Watched(folder.install(PLAIN)).finished().state == folder.state()


def test_cancelling_ends_pip_and_leaves_nothing(index, place, tmp_path):
    index.file = endless_file
    folder = RuntimeFolder(place, launcher(tmp_path, AS_SLICERS))
    watched = Watched(folder.install(PLAIN))
    assert index.reached.wait(60)
    assert len(names(place)) == 1
    watched.installation.cancel()
    assert watched.end() == Stopped()
    assert index.left.wait(60)  # the program behind the launcher is gone, too
    assert names(place) == []
    index.file = whole_file
    assert Watched(folder.install(PLAIN)).finished().state == folder.state()


def test_closing_ends_it_without_another_event(index, place):
    index.file = endless_file
    installation = RuntimeFolder(place).install(PLAIN)
    assert index.reached.wait(60)
    installation.close()
    assert not installation.active and installation.poll() == []
    assert index.left.wait(60)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX only")
def test_when_slicer_is_killed_pip_ends_and_the_next_one_clears_up(index, place):
    index.file = endless_file
    program = (
        "import pathlib, sys; from installations import PLAIN\n"
        "from GDLACore.installation import RuntimeFolder\n"
        "RuntimeFolder(pathlib.Path(sys.argv[1])).install(PLAIN); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, place],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'Testing' / 'core'}"},
        stdin=subprocess.PIPE,
    ) as slicer:
        assert index.reached.wait(60)
        slicer.kill()
    assert index.left.wait(60)
    assert len(names(place)) == 1
    BuildFolders(place).sweep()
    assert names(place) == []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX only")
def test_pip_that_is_killed_is_told_as_such(index, place, tmp_path):
    index.file = endless_file
    note = tmp_path / "number"
    python = launcher(tmp_path, NOTING_ITS_NUMBER.format(path=str(note)))
    watched = Watched(RuntimeFolder(place, python).install(PLAIN))
    assert index.reached.wait(60)
    os.kill(int(note.read_text()), signal.SIGKILL)
    assert watched.error().startswith(
        "pip did not finish. It was killed: perhaps there is too little memory."
    )
    assert names(place) == []


@pytest.mark.parametrize(
    "program, told",
    [
        ("import os; os.abort()", "it crashes when it is loaded"),
        ("__file__ = '/elsewhere/onnxruntime/__init__.py'\n", "has no attribute"),
        (
            "__version__ = '1'; __file__ = '/elsewhere/onnxruntime/__init__.py'\n"
            "class InferenceSession: pass\n"
            "def get_available_providers(): return []\n",
            "/elsewhere/onnxruntime/__init__.py is loaded in its place",
        ),
        ("raise ImportError('numpy.core.multiarray failed to import')", "Slicer's own numpy"),
    ],
)
def test_a_build_that_does_not_work_is_not_installed(index, place, program, told):
    index.wheels = dict([runtime_wheel(program=program)])
    assert told in Watched(RuntimeFolder(place).install(PLAIN)).error()
    assert names(place) == []


def test_a_wheel_of_something_else_is_not_installed(index, place):
    index.wheels = dict([wheel("onnxruntime", "1.32.0", {"onnxruntime/notes.txt": "soon"})])
    told = Watched(RuntimeFolder(place).install(PLAIN)).error()
    assert told.startswith("What was fetched is not ONNX Runtime.")
    assert names(place) == []


@pytest.mark.parametrize(
    "python, told",
    [
        ([sys.executable, "-S"], "pip is missing: it is not in "),
        (["/nowhere/PythonSlicer"], "Python could not be started with /nowhere/PythonSlicer: No s"),
        (OF_ANOTHER_VERSION, "The Python to install for is 3.9, and not "),
    ],
)
def test_a_python_that_will_not_do_is_told(index, place, tmp_path, python, told):
    command = launcher(tmp_path, python) if isinstance(python, str) else python
    assert Watched(RuntimeFolder(place, command).install(PLAIN)).error().startswith(told)
    assert names(place) == [] and index.paths == []


def test_a_disk_without_room_is_told_before_anything_is_fetched(index, place):
    large = dataclasses.replace(PLAIN, installed_mb=10**9)
    told = Watched(RuntimeFolder(place).install(large)).error()
    assert told.startswith(f"There is too little space in {place}: 1100000001 MB are needed, ")
    assert names(place) == [] and index.paths == []


def test_a_folder_that_cannot_be_made_is_told(index, tmp_path):
    (tmp_path / "file").write_text("")
    told = Watched(RuntimeFolder(tmp_path / "file" / "runtime").install(PLAIN)).error()
    assert told.startswith(f"Nothing can be written to {tmp_path / 'file' / 'runtime'}: ")


def test_where_packages_come_from_is_the_users_and_where_they_go_is_not(
    index, place, tmp_path, monkeypatch
):
    configuration = tmp_path / "pip.conf"
    configuration.write_text(
        f"[global]\nindex-url = {index.url}\nrequire-virtualenv = true\nquiet = 2\n"
        "[install]\nuser = true\nrequire-hashes = true\ndry-run = true\nno-binary = :all:\n"
    )
    monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(configuration))
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "none.txt"))
    monkeypatch.setenv("PIP_NO_BINARY", ":all:")
    ready = Watched(RuntimeFolder(place).install(PLAIN)).finished().state
    assert ready.path.parent == place and not (tmp_path / "elsewhere").exists()


def test_pythons_environment_may_be_another_than_ours(index, place, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "sitecustomize.py").write_text("import os; os._exit(3)")
    ours, other = Watched(RuntimeFolder(place).install(PLAIN)), dict(os.environ)
    assert ours.error().startswith("pip did not finish. It ended with status 3 ")
    del other["PYTHONPATH"]
    Watched(RuntimeFolder(place, environment=other).install(PLAIN)).finished()


def test_modules_beside_the_programs_or_in_the_current_folder_are_not_taken(
    index, place, tmp_path, monkeypatch
):
    for name in ("json", "pip", "onnxruntime"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the wrong one')")
    monkeypatch.chdir(tmp_path)
    Watched(RuntimeFolder(place).install(PLAIN)).finished()


def test_what_goes_on_is_told_while_it_goes_on(index, place):
    index.file = endless_file
    watched = Watched(RuntimeFolder(place).install(PLAIN))
    watched.until(lambda: "downloading" in watched.phases)
    assert watched.installation.active
    watched.installation.cancel()
    watched.end()
