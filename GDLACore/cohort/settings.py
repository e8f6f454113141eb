"""How the studies of a cohort are segmented, the same for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from GDLACore.options import BORDERS

if TYPE_CHECKING:
    from GDLACore.remote import RemoteServer

FORMATS = ("seg.nrrd", "nii.gz", "nrrd", "dcm")


@dataclass(frozen=True)
class BatchSettings:
    """What to segment with, and where to write. Can be pickled, for workers elsewhere.

    ``model``, ``card``, ``device``, ``runtime``, ``threads`` and ``server`` as for
    ``engine.loading.load_engine``, ``borders`` and ``largest_component`` as for ``SegmentOptions``.
    ``format`` is one of ``FORMATS``: the ending of every segmentation's name. ``output`` is the
    folder of the results, absolute, so that it means the same to every process.

    Raises ValueError for a format or borders that there are not, and for a relative folder.
    """

    output: Path
    model: str = "demo-ct"
    card: str | None = None
    device: str = "auto"
    runtime: str = "auto"
    threads: int | None = None
    server: RemoteServer | None = None
    borders: str = "smooth"
    largest_component: bool = False
    format: str = "seg.nrrd"

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ValueError(f"format must be one of {', '.join(FORMATS)}, not {self.format!r}")
        if self.borders not in BORDERS:
            raise ValueError(f"borders must be one of {', '.join(BORDERS)}, not {self.borders!r}")
        if not self.output.is_absolute():
            raise ValueError(f"output must be an absolute path, not {self.output}")
