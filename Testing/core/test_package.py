"""The package as a whole: its version, what gets installed, what it ships and what it needs."""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import GDLACore

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "GDLACore"


def test_the_version_is_the_newest_of_the_changelog() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == GDLACore.__version__


def test_every_folder_of_code_is_a_package_that_gets_installed() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert [str(f) for f in folders if not (f / "__init__.py").exists()] == []


def notice() -> dict[str, dict[str, str]]:
    """Return the sections of NOTICE: their fields, and the hash of every file they list."""
    sections: dict[str, dict[str, str]] = {}
    section: dict[str, str] | None = None
    for line in (ROOT / "NOTICE").read_text("utf-8").splitlines():
        if heading := re.fullmatch(r"\[(.+)\]", line):
            assert heading[1] not in sections, f"[{heading[1]}] appears twice"
            section = sections[heading[1]] = {}
        elif section is not None and (item := re.fullmatch(r"([0-9a-f]{64})  (.+)", line)):
            section[item[2]] = item[1]
        elif section is not None and (field := re.fullmatch(r"(\w+): (.+)", line)):
            section[field[1]] = field[2]
        else:
            assert section is None or not line, f"NOTICE has a line of no known form: {line}"
    return sections


FIELDS = {"source", "licence", "changes"}


def test_every_section_of_the_notice_says_whence_on_what_terms_and_what_changed() -> None:
    assert {name: FIELDS - set(section) for name, section in notice().items()} == {
        name: set() for name in notice()
    }


def test_every_file_of_others_is_in_the_notice_with_its_hash() -> None:
    listed = {
        path: digest
        for section in notice().values()
        for path, digest in section.items()
        if path not in FIELDS
    }
    present = {
        path.relative_to(ROOT).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("Resources/samples", "Testing/data")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.is_file()
    }
    assert listed == present


def requirements() -> list[Requirement]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        tomllib = pytest.importorskip("tomli")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    return [Requirement(text) for group in (project["dependencies"], *extras) for text in group]


def test_the_tested_version_of_every_dependency_is_pinned_and_allowed() -> None:
    pins = [
        Requirement(line)
        for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    for requirement in requirements():
        if requirement.name == "GDLACore":
            continue
        versions = [
            str(pin.specifier).removeprefix("==")
            for pin in pins
            if pin.name.lower() == requirement.name.lower()
        ]
        assert versions, f"{requirement.name} has no pin"
        assert all(version in requirement.specifier for version in versions), str(requirement)
