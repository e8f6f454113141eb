"""Builds of ONNX Runtime that are installed: exactly one, and whole."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from GDLACore.engine import runtime
from GDLACore.engine.runtime import onnx_runtime
from GDLACore.errors import EngineError
from GDLACore.installation import (
    InstalledBuild,
    SystemFacts,
    installed_builds,
    needed_repair,
    runtime_choice,
)
from GDLACore.installation.gpu import Gpu

LINUX = SystemFacts("Linux", (2, 35), "x86_64", (3, 12))

FILES = ("onnxruntime/__init__.py", "onnxruntime/capi/onnxruntime_pybind11_state.so")


def install(
    folder: Path, name: str, version: str = "1.32.0", files: tuple[str, ...] | None = FILES
) -> Path:
    """Write a package as pip does: its files, its description, and the list of both."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if files is not None:
        for file in files:
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    return info


def builds(folder: Path) -> tuple[InstalledBuild, ...]:
    return installed_builds([str(folder)])


def test_one_whole_build_needs_no_repair(tmp_path: Path):
    install(tmp_path, "onnxruntime")
    install(tmp_path, "numpy", files=("numpy/__init__.py",))
    assert builds(tmp_path) == (InstalledBuild("onnxruntime", "1.32.0", True),)
    assert needed_repair(builds(tmp_path), LINUX) is None


@pytest.mark.parametrize("name", ["onnxruntime-gpu", "onnxruntime_directml", "ort-nightly-gpu"])
def test_any_build_will_do_by_itself(tmp_path, name):
    install(tmp_path, name)
    assert [build.package for build in builds(tmp_path)] == [name.replace("_", "-")]
    assert needed_repair(builds(tmp_path), LINUX) is None


def test_two_builds_are_both_removed_before_one_is_installed(tmp_path: Path):
    install(tmp_path, "onnxruntime", "1.32.0")
    install(tmp_path, "onnxruntime-gpu", "1.31.1")
    repair = needed_repair(builds(tmp_path), LINUX)
    assert "onnxruntime 1.32.0" in repair.message and "onnxruntime-gpu 1.31.1" in repair.message
    remove, add = repair.commands
    assert remove.split()[:3] == ["pip", "uninstall", "-y"]
    assert set(remove.split()[3:]) == {"onnxruntime", "onnxruntime-gpu"}
    assert add == 'pip install "onnxruntime>=1.23"'
    assert remove in repair.hint and add in repair.hint
    assert repair.hint.endswith("(28 MB to download, 78 MB on the disk).")


def test_what_a_repair_costs_is_said_before_gigabytes_are_fetched(tmp_path: Path):
    gpu = Gpu("NVIDIA", "NVIDIA GeForce RTX 3060", (581, 42), (8, 6))
    system = dataclasses.replace(LINUX, gpus=(gpu,))
    repair = needed_repair(builds(tmp_path), system)
    assert repair.cost == runtime_choice(system).cost
    assert "onnxruntime-gpu" in repair.hint and "1.6 GB to download" in repair.hint


def test_what_is_left_of_a_build_after_another_was_removed_is_installed_anew(tmp_path: Path):
    install(tmp_path, "onnxruntime-gpu")
    for file in FILES:  # as removing onnxruntime, installed beside it, does
        (tmp_path / file).unlink()
    assert [build.complete for build in builds(tmp_path)] == [False]
    repair = needed_repair(builds(tmp_path), LINUX)
    assert "onnxruntime-gpu is only half installed" in repair.message
    assert repair.commands[0] == "pip uninstall -y onnxruntime-gpu"


def test_without_any_build_one_is_installed(tmp_path: Path):
    repair = needed_repair(builds(tmp_path), LINUX)
    assert repair.message == "ONNX Runtime is not installed."
    assert repair.commands == ('pip install "onnxruntime>=1.23"',)


def test_extensions_in_folders_of_their_own_are_no_builds(tmp_path: Path):
    install(tmp_path, "onnxruntime")
    install(tmp_path, "onnxruntime-qnn", files=("onnxruntime_qnn/__init__.py",))
    install(tmp_path, "onnxruntime-extensions", files=("onnxruntime_extensions/__init__.py",))
    assert [build.package for build in builds(tmp_path)] == ["onnxruntime"]


def test_a_build_without_a_list_of_files_is_taken_at_its_word(tmp_path: Path):
    install(tmp_path, "onnxruntime-gpu", files=None)
    assert builds(tmp_path) == (InstalledBuild("onnxruntime-gpu", "1.32.0", True),)


def test_remains_that_pip_could_not_remove_are_passed_over(tmp_path: Path):
    install(tmp_path, "onnxruntime")
    (tmp_path / "~nnxruntime-1.31.0.dist-info").mkdir()
    assert [build.version for build in builds(tmp_path)] == ["1.32.0"]


def test_of_one_build_in_two_places_the_first_counts(tmp_path: Path):
    install(tmp_path / "user", "onnxruntime", "1.30.0")
    install(tmp_path / "site", "onnxruntime", "1.32.0")
    path = [str(tmp_path / "user"), str(tmp_path / "site")]
    assert [build.version for build in installed_builds(path)] == ["1.30.0"]


def test_the_runtime_of_this_computer_is_imported_in_silence(capfd):
    assert onnx_runtime().InferenceSession
    assert capfd.readouterr() == ("", "")


def test_a_runtime_that_is_not_installed_is_an_error_with_the_command_to_run(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr(runtime, "installed_builds", tuple)
    with pytest.raises(EngineError, match="not installed") as caught:
        onnx_runtime()
    assert 'pip install "onnxruntime' in caught.value.hint


def test_an_empty_folder_called_onnxruntime_is_no_runtime(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", ModuleType("onnxruntime"))
    half = (InstalledBuild("onnxruntime-gpu", "1.31.1", False),)
    monkeypatch.setattr(runtime, "installed_builds", lambda: half)
    with pytest.raises(EngineError, match="half installed"):
        onnx_runtime()


def test_a_runtime_that_cannot_be_loaded_says_why(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    whole = (InstalledBuild("onnxruntime-directml", "1.24.4", True),)
    monkeypatch.setattr(runtime, "installed_builds", lambda: whole)
    with pytest.raises(
        EngineError, match="onnxruntime-directml 1.24.4 .*cannot be loaded"
    ) as error:
        onnx_runtime()
    assert "--force-reinstall --no-deps onnxruntime-directml" in error.value.hint


def test_the_advice_needs_nothing_but_the_standard_library():
    code = (
        "import sys\n"
        "from GDLACore.installation import detect_system, installed_builds, runtime_choices\n"
        "runtime_choices(detect_system()); installed_builds()\n"
        "third = {name.split('.')[0] for name in sys.modules}\n"
        "print(sorted(third & {'numpy', 'torch', 'onnxruntime', 'scipy'}))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True
    )
    assert result.stdout == "[]\n"
