"""The README says what the panel, the catalogue and the code say."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

import pytest
from documents import PANEL, README, ROOT, code_texts, panel_texts, rows, section, text_of

from GDLACore.installation.builds import BUILDS, CUDA_LIBRARIES
from GDLACore.worker.death import death

# Headings of groups, and what every window has.
_NO_CONTROLS = {
    *("Inputs", "What to segment", "Review", "Advanced", "Remote server", "Environment", "Log")
}
_OF_SLICER = {
    *("GDLA Segmenter", "GDLASegmenter", "View > Extensions Manager", "Undo", "OK"),
    *("Segmentation > GDLA Segmenter", "File > Download Sample Data", "File > Save Data"),
    "GDLA abdominal CT",
}
_PYTHON = (3, 12)  # of Slicer

ORDER = [
    *("Install", "Five-minute tutorial", "Every control", "Models"),
    *("Learn from your corrections", "A department", "Hospitals without internet"),
    *("Troubleshooting", "Removing downloaded data", "Limits", "Cite", "Develop", "Licence"),
]


def bold(cells: Iterable[str]) -> set[str]:
    return {name for cell in cells for name in re.findall(r"\*\*(.+?)\*\*", cell)}


def test_the_sections_come_in_the_order_of_use() -> None:
    assert re.findall(r"^## (.+)$", text_of(README), re.MULTILINE) == ORDER


def test_every_control_of_the_panel_has_its_line_and_no_other() -> None:
    described = bold(row[0] for row in rows(section(README, "Every control")))
    there = panel_texts() - _NO_CONTROLS - {"Create new", "Automatic"}
    there |= {"Reinstall"} & set(code_texts())  # what "Install" is called later
    assert described == there


def test_what_stands_in_italics_is_written_on_the_panel() -> None:
    """Names of buttons, menus and choices are in italics; the rest is prose."""
    known = panel_texts() | set(code_texts()) | _OF_SLICER
    titles = ("Install", "Five-minute tutorial", "Every control", "Hospitals without internet")
    for title in (*titles, "Troubleshooting", "Removing downloaded data"):
        text = re.sub(r"\*\*.+?\*\*|`[^`]*`", "", section(README, title), flags=re.DOTALL)
        names = {re.sub(r"\s+", " ", name) for name in re.findall(r"\*([^*]+)\*", text)}
        assert names <= known, title


def test_the_table_of_models_is_that_of_the_catalogue() -> None:
    sys.path.insert(0, str(ROOT / "docs"))
    import models_table

    text = text_of(README)
    written = text.partition(models_table.BEGIN)[2].partition(models_table.END)[0].strip()
    assert written == models_table.table().strip(), "run docs/models_table.py"


def sizes(*megabytes: int) -> str:
    """Return the smallest and the largest, as the README writes them."""
    low, high = min(megabytes), max(megabytes)
    if high >= 1000:
        return f"{low / 1000:.1f}–{high / 1000:.1f} GB"
    return f"{low} MB" if low == high else f"{low}–{high} MB"


def test_what_onnx_runtime_costs_is_what_the_module_will_say() -> None:
    builds = [one for one in BUILDS if one.pythons[0] <= _PYTHON <= one.pythons[1]]
    plain = [one for one in builds if one.package == "onnxruntime"]
    expected = {}
    for title, system in (("Windows without GPU", "Windows"), ("macOS", "macOS"), ("Linux",) * 2):
        # Slicer for Windows is for Intel's processors.
        chosen = [one for one in plain if one.os == system]
        if system == "Windows":
            chosen = [one for one in chosen if one.machine == "x86_64"]
        expected[title] = (
            sizes(*(one.download_mb for one in chosen)),
            sizes(*(one.installed_mb for one in chosen)),
        )
    (directml,) = [one for one in builds if one.package == "onnxruntime-directml"]
    expected["Windows with any GPU (DirectX 12)"] = (
        sizes(directml.download_mb),
        sizes(directml.installed_mb),
    )
    for cuda, title in (
        (13, "NVIDIA GPU with CUDA 13, driver 580 or newer"),
        (12, "NVIDIA GPU with CUDA 12"),
    ):
        pairs = [
            (build, libraries)
            for build in builds
            for libraries in CUDA_LIBRARIES
            if build.cuda == libraries.cuda == cuda and build.os == libraries.os
        ]
        expected[title] = (
            sizes(*(one.download_mb + with_it.download_mb for one, with_it in pairs)),
            sizes(*(one.installed_mb + with_it.installed_mb for one, with_it in pairs)),
        )
    written = {row[0]: (row[1], row[2]) for row in rows(section(README, "Install"))}
    assert written == expected


MESSAGES = re.findall(r"^- `([^`]+)`", section(README, "Troubleshooting"), re.MULTILINE)


@pytest.fixture(scope="module")
def said() -> list[str]:
    """What the program may say, with "…" for what differs."""
    deaths = [death(status, "").message for status in (-9, -11)]
    return [*code_texts(), *deaths]


@pytest.mark.parametrize("message", [re.sub(r"\s+", " ", one) for one in MESSAGES])
def test_every_message_that_is_explained_exists(message: str, said: list[str]) -> None:
    """The message, or its beginning where it goes on, is one of the code's."""
    assert any(agree(message, text) for text in said)


def agree(message: str, text: str) -> bool:
    """Return whether they are the same but for what differs in either of them."""
    if len(text.replace("…", "")) < 15:
        return False  # it would agree with anything
    return bool(
        re.match(_pattern(message), text, re.DOTALL)
        or re.fullmatch(_pattern(text), message, re.DOTALL)
    )


def _pattern(text: str) -> str:
    return "(?:…|.+)".join(re.escape(part) for part in text.split("…"))


@pytest.mark.parametrize(
    ("message", "text", "expected"),
    [
        ("The disk is full.", "The disk is full.", True),
        ("The disk is full.", "The disk is empty.", False),
        ("… is nowhere found.", "… is nowhere found.", True),
        ("The folder … cannot be read: ….", "The folder … cannot be …: ….", True),
        ("The process crashed (…)", "The process crashed (SIGSEGV).", True),
        ("Anything at all.", "…: ….", False),
    ],
)
def test_messages_are_compared(message: str, text: str, expected: bool) -> None:
    assert agree(message, text) is expected


def test_names_of_the_panel_are_read() -> None:
    assert PANEL.is_file() and {"Segment", "Volume", "Environment"} <= panel_texts()
    assert len(MESSAGES) > 20
