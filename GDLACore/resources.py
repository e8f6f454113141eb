"""Where the files that ship with the code are."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent

# An installed wheel and an installed extension carry the folder inside the package;
# a checkout keeps it beside the package, where the Slicer module finds it too.
_CANDIDATES = (_PACKAGE / "Resources", _PACKAGE.parent / "Resources")


def resource_path(*parts: str) -> Path:
    """Return the path of a file or folder in ``Resources/``.

    Raises FileNotFoundError if no installation layout holds it.
    """
    for folder in _CANDIDATES:
        path = folder.joinpath(*parts)
        if path.exists():
            return path
    raise FileNotFoundError(f"{Path(*parts)} is missing from {' and '.join(map(str, _CANDIDATES))}")
