"""What can be read out of the documents, the panel and the code, to be compared."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PANEL = ROOT / "GDLASegmenter/Resources/UI/GDLASegmenter.ui"

DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "Testing/*/README.md", "recipes/*/README.md")
    for path in ROOT.glob(pattern)
)

_CODE = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(!?)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")


def text_of(path: Path) -> str:
    return path.read_text("utf-8")


def links(path: Path) -> list[str]:
    """Return the targets of links and pictures, in order."""
    return [target for _, target in _LINK.findall(_CODE.sub("", text_of(path)))]


def pictures(path: Path) -> list[str]:
    return [target for mark, target in _LINK.findall(text_of(path)) if mark]


def anchors(path: Path) -> set[str]:
    """Return what GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", _CODE.sub("", text_of(path)), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading).strip().lower() for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


def section(path: Path, title: str) -> str:
    """Return what is below a heading, down to the next of the same rank. KeyError if none is."""
    found = re.search(
        rf"^(#+) {re.escape(title)}\n(.*?)(?=^\1 |\Z)", text_of(path), re.MULTILINE | re.DOTALL
    )
    if found is None:
        raise KeyError(title)
    return found[2]


def rows(text: str) -> list[list[str]]:
    """Return the cells of all tables' rows, without headings."""
    found, lines = [], text.splitlines()
    for line, next_line in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("|") and not line.startswith("|-") and not next_line.startswith("|-"):
            found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def commands(path: Path, program: str) -> list[list[str]]:
    """Return the arguments of each call of ``program`` in blocks of shell commands."""
    found = []
    for block in re.findall(r"```bash\n(.*?)```", text_of(path), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.partition(" || ")[0], comments=True)
            if words[:1] == [program]:
                found.append(words[1:])
    return found


def cited_tests(path: Path) -> list[tuple[str, str]]:
    """Return file and words of each test that is named as `test_file.py::words_of_its_name`."""
    return re.findall(r"`(test_\w+\.py)::(\w+)`", text_of(path))


def panel_texts() -> set[str]:
    """Return what stands on the panel: labels, buttons, headings; without colons."""
    root = ElementTree.parse(PANEL).getroot()
    texts = {
        (element.findtext("string") or "").rstrip(":")
        for element in root.iter("property")
        if element.get("name") in ("text", "title", "noneDisplay", "specialValueText")
    }
    return texts - {""}


def code_texts() -> list[str]:
    """Return every text in the code of module and backend; what differs in it stands as "…"."""
    folders = ("GDLACore", "GDLASegmenter", "SegmentEditorGDLA")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return [text for path in files for text in _texts(ast.parse(text_of(path)))]


def _texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"\{\w*\}", "…", node.value)
        elif isinstance(node, ast.JoinedStr):
            yield "".join(
                part.value if isinstance(part, ast.Constant) else "…" for part in node.values
            )
