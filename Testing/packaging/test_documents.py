"""The documents lead to what is there: files, headings, tests, commands, pictures."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from documents import (
    DOCUMENTS,
    README,
    ROOT,
    anchors,
    cited_tests,
    commands,
    links,
    pictures,
    rows,
    text_of,
)

from GDLACore.cli.parser import command_line

COMPLAINTS = ROOT / "docs/complaints.md"
LARGEST_PICTURE = 400_000  # bytes


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_leads_somewhere(document: Path) -> None:
    wrong = []
    for target in links(document):
        if re.match(r"https?://", target):
            continue
        file, _, anchor = target.partition("#")
        path = (document.parent / file).resolve() if file else document
        if not path.exists() or (anchor and anchor not in anchors(path)):
            wrong.append(target)
    assert wrong == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_file_that_is_named_is_there(document: Path) -> None:
    named = re.findall(r"`((?:GDLACore|GDLASegmenter|Testing|Resources|docs|recipes)/[^`*\s]+)`",
                       text_of(document))  # fmt: skip
    files = [name.partition("::")[0] for name in named if "NAME" not in name]
    assert [name for name in files if not (ROOT / name).exists()] == []


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached, ahead = set(), [README]
    while ahead:
        document = ahead.pop()
        if document not in reached and document.suffix == ".md" and document.is_file():
            reached.add(document)
            files = (target.partition("#")[0] for target in links(document))
            ahead += [(document.parent / file).resolve() for file in files if file]
    docs = {document for document in DOCUMENTS if document.parent.name == "docs"}
    assert sorted(map(name_of, docs - reached)) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_commands_are_understood(document: Path) -> None:
    parser = command_line()
    for arguments in commands(document, "gdla"):
        parser.parse_args(arguments)  # ends the test with the parser's message


def test_the_makefile_knows_what_the_documents_make() -> None:
    made = {
        word
        for document in DOCUMENTS
        for arguments in commands(document, "make")
        for word in arguments
        if not re.match(r"\w+=", word)
    }
    made |= {
        word for document in DOCUMENTS for word in re.findall(r"`make ([\w-]+)", text_of(document))
    }
    targets = set(re.findall(r"^([\w-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    assert made and made <= targets


def test_the_complaints_are_fifteen_and_each_is_answered_with_a_test() -> None:
    table = [row for row in rows(text_of(COMPLAINTS)) if row[0].isdigit()]
    assert [int(row[0]) for row in table] == list(range(1, 16))
    for number, complaint, answer, proof in table:
        assert complaint.count("https://github.com/") == 1, number
        assert answer and re.findall(r"`test_\w+\.py::\w+`", proof), number


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_test_that_is_cited_exists(document: Path) -> None:
    names: dict[str, str] = {}
    for path in (ROOT / "Testing").rglob("test_*.py"):
        names[path.name] = names.get(path.name, "") + text_of(path)
    wrong = [
        f"{file}::{words}"
        for file, words in cited_tests(document)
        if f"def test_{words}(" not in names.get(file, "")
    ]
    assert wrong == []


def test_pictures_of_the_tutorial_are_small_and_made_by_its_script() -> None:
    script = text_of(ROOT / "docs/make_screenshots.py")
    shown = {Path(target).name for document in DOCUMENTS for target in pictures(document)}
    linked = {Path(target).name for target in links(README) if target.endswith(".png")}
    tutorial = {name for name in shown | linked if name.startswith(("tutorial-", "panel-"))}
    assert tutorial == set(re.findall(r'"((?:tutorial|panel)-[\w-]+\.png)"', script))
    too_large = {
        name: (ROOT / "docs" / name).stat().st_size
        for name in tutorial
        if (ROOT / "docs" / name).stat().st_size > LARGEST_PICTURE
    }
    assert too_large == {}


def test_the_command_for_slicer_names_our_module() -> None:
    """It cannot be run here; at least its words are those of Slicer's own test macro."""
    text = text_of(ROOT / "docs/untested.md")
    (block,) = re.findall(r"```bash\n(Slicer .*?)```", text, re.DOTALL)
    words = shlex.split(block.replace("\\\n", " "))
    assert words[words.index("--additional-module-paths") + 1] == "$PWD/GDLASegmenter"
    assert (ROOT / "GDLASegmenter/GDLASegmenter.py").is_file()
    assert "slicer.testing.runUnitTest(['$PWD/GDLASegmenter'], 'GDLASegmenter')" in words[-1]
