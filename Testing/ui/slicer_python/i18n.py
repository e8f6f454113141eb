"""``slicer.i18n``: texts in the language of the application.

Slicer's translators get the texts from the source code, so only literal ones reach them. Slicer
shows any other text untranslated; here it is reported.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import slicer
from pythonqt.problems import report


def translate(context: str, text: str) -> str:
    """Return the translation of a text of another module, whose context has to be named."""
    return slicer.app.translate(context, text)


def tr(text: str) -> str:
    """Return the translation of a text of the calling module."""
    code = sys._getframe(1).f_code
    if text not in _texts(code):
        report("slicer.i18n.tr", f"{text!r} is no literal in {code.co_filename}")
    return translate(_context(Path(code.co_filename)), text)


def _context(path: Path) -> str:
    """Return Slicer's name for a source file: that of its package before it, if it is in one."""
    in_package = (path.parent / "__init__.py").is_file()
    return f"{path.parent.name}.{path.stem}" if in_package else path.stem


def _texts(code: CodeType) -> Iterator[str]:
    yield from (constant for constant in code.co_consts if isinstance(constant, str))
