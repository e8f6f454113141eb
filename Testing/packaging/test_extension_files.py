"""CMake's lists name every file of the extension, and every file that they name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cmake_lists import FileList, file_lists
from extension import ROOT
from PIL import Image

BACKEND = ROOT / "GDLACore"
MODULE = ROOT / "GDLASegmenter"
EFFECT = ROOT / "SegmentEditorGDLA"
ICONS = [folder / "Resources" / "Icons" / f"{folder.name}.png" for folder in (MODULE, EFFECT)]

modules = pytest.mark.parametrize("folder", [MODULE, EFFECT], ids=lambda folder: folder.name)


def files_in(folder: Path, base: Path) -> set[str]:
    return {
        path.relative_to(base).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "CMakeLists.txt" and "__pycache__" not in path.parts
    }


def scripts_in(folder: Path) -> set[str]:
    return {file for file in files_in(folder, folder) if file.endswith(".py")}


def others_in(folder: Path) -> set[str]:
    return files_in(folder, folder) - scripts_in(folder)


def assert_complete(where: Path, name: str, present: set[str]) -> None:
    corrections = file_lists(where / "CMakeLists.txt")[name].corrections(present)
    assert not corrections, "\n" + "\n".join(corrections)


def test_the_backends_scripts_are_listed() -> None:
    assert_complete(BACKEND, "MODULE_PYTHON_SCRIPTS", scripts_in(BACKEND))


def test_the_backends_resources_are_listed_with_the_terms_they_come_on() -> None:
    present = files_in(ROOT / "Resources", ROOT) | {"LICENSE", "NOTICE"}
    assert_complete(BACKEND, "PACKAGE_RESOURCES", present)


def test_the_backends_folder_holds_nothing_but_scripts() -> None:
    assert others_in(BACKEND) == set(), "what is not code belongs into Resources/"


@modules
def test_the_modules_scripts_are_listed(folder: Path) -> None:
    assert_complete(folder, "MODULE_PYTHON_SCRIPTS", scripts_in(folder))


@modules
def test_the_modules_resources_are_listed(folder: Path) -> None:
    assert_complete(folder, "MODULE_PYTHON_RESOURCES", others_in(folder))


@modules
def test_slicer_finds_one_module_in_a_folder_and_not_its_parts(folder: Path) -> None:
    """Every script at the top of a folder of modules is taken for a module."""
    assert {file for file in scripts_in(folder) if "/" not in file} == {f"{folder.name}.py"}


def test_every_folder_with_a_module_is_part_of_the_extension() -> None:
    text = (ROOT / "CMakeLists.txt").read_text("utf-8")
    added = re.findall(r"^add_subdirectory\((\w+)\)", text, re.MULTILINE)
    there = {path.parent.name for path in ROOT.glob("*/CMakeLists.txt")}
    assert set(added) == there == {"GDLACore", MODULE.name, EFFECT.name}


@pytest.mark.parametrize("path", [ROOT / "GDLA.png", *ICONS], ids=lambda path: path.stem)
def test_an_icon_has_the_size_that_slicer_recommends(path: Path) -> None:
    with Image.open(path) as icon:
        assert (icon.format, icon.size) == ("PNG", (128, 128))


@pytest.mark.parametrize("path", ICONS, ids=lambda path: path.stem)
def test_all_icons_are_the_same(path: Path) -> None:
    assert path.read_bytes() == (ROOT / "GDLA.png").read_bytes(), "run docs/draw_icon.py"


@pytest.mark.parametrize(
    ("listed", "present", "told"),
    [
        (["a.py", "c.py"], {"a.py", "b.py", "c.py"}, "add  b.py  to SCRIPTS after  a.py"),
        (["b.py"], {"a.py", "b.py"}, "add  a.py  to SCRIPTS as the first"),
        (["a.py", "b.py"], {"a.py"}, "remove  b.py  from SCRIPTS, it does not exist"),
        (["b.py", "a.py"], {"a.py", "b.py"}, "move  a.py  in SCRIPTS as the first"),
        (["a.py", "a.py"], {"a.py"}, "a.py  stands twice in SCRIPTS"),
    ],
)
def test_a_wrong_list_says_how_to_mend_it(listed: list[str], present: set[str], told: str) -> None:
    corrections = FileList("x/CMakeLists.txt", "SCRIPTS", listed).corrections(present)
    assert corrections == [f"x/CMakeLists.txt: {told}"]


def test_a_right_list_needs_no_correction() -> None:
    assert FileList("", "", ["__init__.py", "a/b.py"]).corrections({"a/b.py", "__init__.py"}) == []


def test_a_list_is_read_as_cmake_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "CMakeLists.txt"
    path.write_text("set(NAME x)\nset(SCRIPTS\n  a.py\n  b/c.py\n  )\n\nset(NONE\n  )\nuse(\n  )\n")
    found = {name: one.files for name, one in file_lists(path).items()}
    assert found == {"SCRIPTS": ["a.py", "b/c.py"], "NONE": []}
