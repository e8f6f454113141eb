"""What is in the folder that ONNX Runtime is installed into, each with its words for the user."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_MB = 1_000_000


@dataclass(frozen=True)
class Absent:
    """Nothing is installed."""

    text = "Not installed"


@dataclass(frozen=True)
class Ready:
    """A build that was tried out when it was installed, and whose files are all there.

    ``path`` is what goes in front of ``sys.path``; ``providers`` is what ONNX Runtime called the
    processors that it can use.
    """

    package: str
    version: str
    path: Path
    size_bytes: int
    providers: tuple[str, ...]

    @property
    def text(self) -> str:
        size = max(1, round(self.size_bytes / _MB))
        return f"{self.package} {self.version}, {size} MB in {self.path}"


@dataclass(frozen=True)
class Damaged:
    """A build that cannot be used, and why, as a sentence: it has to be installed again."""

    reason: str
    path: Path

    @property
    def text(self) -> str:
        return f"Damaged: {self.reason}"


@dataclass(frozen=True)
class OtherPython:
    """A build for another Python, such as "3.9", or another computer: Slicer was updated."""

    python: str
    path: Path

    @property
    def text(self) -> str:
        return f"Installed for another program with Python {self.python}; this one needs its own"


RuntimeState = Absent | Ready | Damaged | OtherPython
