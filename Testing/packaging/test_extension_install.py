"""The extension as CMake installs it: what lies where, and that it works from there alone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from extension import ROOT, Extension, cmake_command, install
from test_extension_files import files_in

from GDLACore.engine import load_engine
from GDLACore.imaging.reading import read_volume
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import segment_volume

SAMPLE = "samples/ct-abdomen-dicom"
SLICES = range(9, 11)

# What only the Slicer application has: no package provides it.
ONLY_IN_SLICER = {"ctk", "qt", "slicer.i18n", "slicer.packaging", "slicer.parameterNodeWrapper"} | {
    "slicer.ScriptedLoadableModule",
    "SegmentEditorEffects",
}
MODULES = ("GDLASegmenter", "SegmentEditorGDLA")


def sources() -> dict[str, str]:
    """Return what is installed from where: paths below qt-scripted-modules and below the root."""
    backend = files_in(ROOT / "GDLACore", ROOT)
    inside = files_in(ROOT / "Resources", ROOT) | {"LICENSE", "NOTICE"}
    modules = {
        file: f"{name}/{file}" for name in MODULES for file in files_in(ROOT / name, ROOT / name)
    }
    return (
        {file: file for file in backend} | {f"GDLACore/{file}": file for file in inside} | modules
    )


def test_every_file_is_where_slicer_and_the_package_look_for_it(extension: Extension) -> None:
    expected = sources()
    assert {file for file in extension.files() if not file.endswith(".pyc")} == set(expected)
    for installed, source in expected.items():
        assert (extension.modules / installed).read_bytes() == (ROOT / source).read_bytes()


def test_every_script_is_compiled(extension: Extension) -> None:
    compiled = {file for file in extension.files() if file.endswith(".pyc")}
    assert compiled == {f"{file}c" for file in extension.files() if file.endswith(".py")}


def test_no_name_can_meet_another_extensions(extension: Extension) -> None:
    """All extensions are on one import path, and share one folder if they are built into Slicer."""
    names = {Path(file).parts[0] for file in extension.files()} - {"Resources"}
    names |= {Path(f).name for f in extension.files() if f.startswith("Resources/")}
    # An effect's module begins as Slicer's developers want it to.
    assert sorted(name for name in names if not re.match("(SegmentEditor)?GDLA", name)) == []


def test_the_description_comes_first_and_the_package_last(extension: Extension) -> None:
    steps = extension.description["STEPS"].split(";")
    assert (steps[0], steps[-2:]) == ("use", ["config", "package"])


def test_slicers_own_tests_and_ours_are_registered(extension: Extension) -> None:
    tests = {step for step in extension.description["STEPS"].split(";") if "test:" in step}
    assert tests == {f"generic-test:{name}" for name in MODULES} | {"test:GDLASegmenter.py"}


def test_without_cmake_nothing_passes_for_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cmake", None)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception):
        cmake_command()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception):
        cmake_command()


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source code, to be changed."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("CMakeLists.txt", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, folder)
    for name in ("GDLACore", "Resources", *MODULES):
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=without)
    return folder


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("GDLACore/CMakeLists.txt", ("  errors.py\n", "  mistakes.py\n"), "mistakes.py"),
        ("GDLACore/CMakeLists.txt", ("  LICENSE\n", "  LICENCE\n"), "LICENCE"),
        ("GDLASegmenter/CMakeLists.txt", ("WITH_GENERIC_TESTS", "WITH_TESTS"), "WITH_TESTS"),
        ("SegmentEditorGDLA/CMakeLists.txt", ("/GDLA.py\n", "/Gone.py\n"), "Gone.py"),
        ("CMakeLists.txt", ("set(EXTENSION_ICONURL", "set(EXTENSION_ICON"), "EXTENSION_ICONURL"),
        ("CMakeLists.txt", ("include(${Slicer_USE_FILE})", ""), "Unknown CMake command"),
    ],
    ids=["script", "resource", "argument", "effect", "description", "use-file"],
)
def test_the_stand_in_refuses_what_slicer_would(
    cmake: str, copy: Path, tmp_path: Path, file: str, change: tuple[str, str], message: str
) -> None:
    right = (copy / file).read_text("utf-8")
    assert change[0] in right
    (copy / file).write_text(right.replace(*change), "utf-8")
    try:
        with pytest.raises(subprocess.CalledProcessError) as refused:
            install(cmake, tmp_path, copy)
    finally:
        (copy / file).write_text(right, "utf-8")
    assert message in refused.value.stderr


def result_of(done: subprocess.CompletedProcess[str]) -> dict:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


IMPORT_ALL = """
import importlib, json, pathlib, sys
done, missing = [], {{}}
for path in sorted(pathlib.Path(sys.path[0], {package!r}).rglob("*.py")):
    name = ".".join(path.relative_to(sys.path[0]).with_suffix("").parts)
    name = name.removesuffix(".__init__")
    if name.startswith({left_out!r}) or name.endswith("__main__"):
        continue
    try:
        importlib.import_module(name)
        done.append(name)
    except ModuleNotFoundError as error:
        missing[name] = error.name
files = {{name: str(m.__file__) for name, m in sys.modules.items() if "GDLA" in name.split(".")[0]}}
elsewhere = [item for item in files.items() if not item[1].startswith(sys.path[0])]
print(json.dumps({{"done": done, "missing": missing, "elsewhere": elsewhere}}))
"""


def test_the_backend_is_imported_from_there_and_is_complete(extension: Extension) -> None:
    with_torch = ("GDLACore.network", "GDLACore.training", "GDLACore.engine.torch_engine")
    result = result_of(extension.python(IMPORT_ALL.format(package="GDLACore", left_out=with_torch)))
    assert (result["missing"], result["elsewhere"]) == ({}, [])
    assert {"GDLACore", "GDLACore.pipeline", "GDLACore.worker.client"} <= set(result["done"])


@pytest.mark.parametrize(
    ("module", "part"), list(zip(MODULES, ("SegmentationLogic", "SliceEdit"), strict=True))
)
def test_the_modules_parts_are_imported_from_there_as_far_as_slicers_scene_goes(
    extension: Extension, module: str, part: str
) -> None:
    pytest.importorskip("slicer", reason="the package slicer-core is not installed")
    start = "import slicer_application; slicer_application.start()\n"
    code = start + IMPORT_ALL.format(package=f"{module}Lib", left_out=("Testing",))
    result = result_of(extension.python(code, ROOT / "Testing" / "mrml"))
    assert result["elsewhere"] == []
    assert set(result["missing"].values()) <= ONLY_IN_SLICER, result["missing"]
    assert {f"{module}Lib", f"{module}Lib.{part}"} <= set(result["done"])


SEGMENT = """
import json, time
import numpy as np
from GDLACore.imaging.reading import read_volume
from GDLACore.options import SegmentOptions
from GDLACore.resources import resource_path
from GDLACore.worker import Failed, Finished, ModelRequest, Started, WorkerClient

client = WorkerClient(({python!r}, "-I"))
volume = read_volume(resource_path(*{sample!r}.split("/")))
client.segment(volume, ModelRequest("demo-ct", device="cpu"), SegmentOptions({slices!r}))
events = []
while not events or not isinstance(events[-1], (Failed, Finished)):
    time.sleep(0.01)
    events += client.poll()
assert isinstance(events[-1], Finished), events[-1]
labels = next(event.labels for event in events if isinstance(event, Started))
np.save({result!r}, labels)
print(json.dumps(dict(folder=str(resource_path("models.json").parent))))
client.close()
"""


def test_a_worker_is_started_from_there_and_segments_the_sample(
    extension: Extension, tmp_path: Path
) -> None:
    code = SEGMENT.format(
        python=sys.executable, sample=SAMPLE, slices=SLICES, result=str(tmp_path / "labels.npy")
    )
    result = result_of(extension.python(code))
    assert Path(result["folder"]) == extension.modules / "GDLACore" / "Resources"
    labels = np.load(tmp_path / "labels.npy")
    with load_engine("demo-ct", device="cpu") as engine:
        volume = read_volume(ROOT / "Resources" / SAMPLE)
        expected = segment_volume(volume, engine, SegmentOptions(SLICES))
    np.testing.assert_array_equal(labels, expected)
    assert len(np.unique(labels)) > 3
