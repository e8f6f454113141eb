"""The files that hold the pixels of an image whose header is a file of its own."""

from __future__ import annotations

import os
import re
from pathlib import Path

from GDLACore.errors import VolumeError

_LONGEST_LINE, _MOST_LINES = 1 << 16, 1 << 16  # of a header: there is a line for every slice
_PAIR = re.compile(r"\.(hdr|img)(\.gz)?$", re.IGNORECASE)
_META = re.compile(rb"^\s*ElementDataFile\s*[=:]\s*(.*?)\s*$", re.MULTILINE)
_NRRD = re.compile(rb"^data ?file:\s*(.*?)\s*$", re.MULTILINE | re.IGNORECASE)
_BLANK = re.compile(rb"\s*\Z")  # ends a header of NRRD
_LOCAL = re.compile(rb"\s*ElementDataFile\s*[=:]\s*LOCAL", re.IGNORECASE)  # one of MetaImage
_NUMBER = re.compile(r"%[-+ 0#]*\d*(\.\d+)?[diuoxX]")


def data_files(path: Path) -> list[Path]:
    """Return the files with the pixels of ``path``, none if they are in ``path`` itself.

    Of MetaImage and NRRD they are what the header names, of Analyze and NIfTI the other one of
    ``.hdr`` and ``.img``. Raises OSError if ``path`` cannot be read, and VolumeError if it names
    files by a pattern that none has.
    """
    name = path.name.lower()
    if _PAIR.search(name):
        stem = _PAIR.sub("", path.name)
        return sorted(
            file
            for file in path.parent.iterdir()
            if _PAIR.search(file.name) and _PAIR.sub("", file.name) == stem and file != path
        )
    if name.endswith((".mhd", ".mha")):
        head = _head(path, _LOCAL)
        named = _META.search(head)
    elif name.endswith((".nhdr", ".nrrd")):
        head = _head(path, _BLANK)
        named = _NRRD.search(head)
    else:
        return []
    if named is None or named[1].upper() == b"LOCAL":
        return []
    text = os.fsdecode(named[1])
    if text.split()[:1] == ["LIST"]:
        lines = map(os.fsdecode, head[named.end() :].splitlines())
        return [path.parent / line.strip() for line in lines if line.strip()]
    if _NUMBER.search(text):
        return _numbered(path, text.split()[0])
    return [path.parent / text]


def _head(path: Path, end: re.Pattern[bytes]) -> bytes:
    """Return the lines of ``path`` up to the one that is the ``end`` of its header."""
    lines: list[bytes] = []
    with path.open("rb") as file:
        while (line := file.readline(_LONGEST_LINE)) and len(lines) < _MOST_LINES:
            lines.append(line)
            if end.match(line):
                break
    return b"".join(lines)


def _numbered(path: Path, pattern: str) -> list[Path]:
    """Return every file that ``pattern`` could mean, whichever numbers the header counts."""
    folder, name = (path.parent / pattern).parent, Path(pattern).name
    texts = [re.escape(text) for text in _NUMBER.sub("\0", name).split("\0")]
    expression = re.compile(r"[-+ 0-9a-fA-F]+".join(texts))
    files = sorted(file for file in folder.iterdir() if expression.fullmatch(file.name))
    if not files:
        raise VolumeError(
            f"{path} names its data {pattern}, and there are no such files.",
            "Copy them to where it expects them, or save the image as one file.",
        )
    return files
