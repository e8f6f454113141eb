"""What the index of 3D Slicer's extensions checks by itself, checked before it is asked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from extension import ROOT, Extension
from PIL import Image

ENTRY = ROOT / "docs" / "GDLASegmenter.json"
SCHEMA = (
    "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/"
    "slicer-extension-catalog-entry-schema-v1.0.2.json#"
)

# The entries of schema 1.0.2; it allows no others.
TYPES = {
    "$schema": str,
    "build_dependencies": list,
    "build_subdirectory": str,
    "category": str,
    "dicom_support_rule": str,
    "enabled": bool,
    "scm_revision": str,
    "scm_type": str,
    "scm_url": str,
    "tier": int,
}
REQUIRED = {"$schema", "category", "scm_url"}


@pytest.fixture(scope="module")
def entry() -> dict:
    return json.loads(ENTRY.read_text("utf-8"))


@pytest.fixture(scope="module")
def cmake_text() -> str:
    return (ROOT / "CMakeLists.txt").read_text("utf-8")


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text("utf-8")


def test_the_entry_is_what_the_schema_asks_for(entry: dict) -> None:
    assert entry["$schema"] == SCHEMA
    assert REQUIRED <= entry.keys() <= TYPES.keys()
    assert {key: type(value) for key, value in entry.items()} == {key: TYPES[key] for key in entry}
    assert 1 <= entry["tier"] <= 5


def test_the_entry_is_formatted_as_the_others_are(entry: dict) -> None:
    assert ENTRY.read_bytes() == (json.dumps(entry, indent=2) + "\n").encode()
    assert list(entry) == sorted(entry)


def test_the_extension_is_named_as_the_index_wants_it(entry: dict, cmake_text: str) -> None:
    """Of the extension's name, "Slicer" is no part; with the repository's name it begins."""
    name = re.search(r"project\s*\(\s*([^\s)]+)", cmake_text)[1]
    assert name == ENTRY.stem
    assert not name.lower().startswith("slicer")
    assert Path(urlsplit(entry["scm_url"]).path).stem == f"Slicer{name}"


def test_the_entry_and_cmake_say_the_same(entry: dict, extension: Extension) -> None:
    said = extension.description
    assert said["NAME"] == ENTRY.stem
    assert said["CATEGORY"] == entry["category"] == "Segmentation"
    assert said["DEPENDS"] == "NA" and entry["build_dependencies"] == []
    assert entry["scm_url"] == f"{said['HOMEPAGE']}.git"


def test_the_description_is_short_and_says_that_it_is_not_for_patients(
    extension: Extension,
) -> None:
    description = extension.description["DESCRIPTION"]
    assert description.count(". ") == 1 and description.endswith(".")
    assert len(description) < 300 and "not for clinical use" in description


@pytest.mark.parametrize("name", ["ICONURL", "SCREENSHOTURLS"])
def test_pictures_are_addressed_as_the_index_can_read_it(
    entry: dict, extension: Extension, cmake_text: str, name: str
) -> None:
    urls = extension.description[name]
    assert f'set(EXTENSION_{name} "{urls}")' in cmake_text, "the index looks for it on one line"
    repository = urlsplit(entry["scm_url"]).path.removesuffix(".git")
    raw = f"https://raw.githubusercontent.com{repository}/{entry['scm_revision']}/"
    for url in urls.split(" "):
        assert url.startswith(raw)
        with Image.open(ROOT / url.removeprefix(raw)) as picture:
            assert picture.format in {"PNG", "JPEG", "GIF"}


def test_the_homepage_says_what_the_index_asks_for(readme: str) -> None:
    assert readme.startswith("# GDLASegmenter\n")
    assert re.search(r"!\[.+\]\(.+\.(png|jpg)\)", readme), "a picture"
    assert "arxiv.org/abs/2603.02727" in readme, "the publication"
    assert "Apache-2.0" in readme, "the licence"
    assert "not for clinical use" in readme


def test_the_pictures_of_the_homepage_are_there(readme: str) -> None:
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", readme)
    assert [path for path in pictures if not (ROOT / path).is_file()] == []


def test_the_licence_has_a_name_that_the_index_looks_for() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert "Apache License" in text and "Version 2.0" in text


def test_the_tests_that_the_checklist_calls_upon_exist() -> None:
    text = (ROOT / "docs" / "index-checklist.md").read_text("utf-8")
    cited = re.findall(r"`([\w/]*test_\w+\.py)(?:::(\w+))?…?`", text)
    code = {path.name: path.read_text("utf-8") for path in (ROOT / "Testing").rglob("test_*.py")}
    wrong = [
        (file, words)
        for file, words in cited
        if f"def test_{words}" not in code.get(Path(file).name, "")
    ]
    assert cited and wrong == []
