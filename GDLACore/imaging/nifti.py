"""What ITK's NIfTI reader keeps to itself: the size, a missing orientation, voxels without a value.

ITK reads NaN and infinity as 0, which in a CT is soft tissue.
"""

from __future__ import annotations

import gzip
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

HEADER_BYTES = 540  # NIfTI-2; NIfTI-1 needs 348

_FLOATS = {16: "f4", 64: "f8"}  # DT_FLOAT32, DT_FLOAT64
_BLOCK = 1 << 20  # voxels at a time


@dataclass(frozen=True)
class NiftiHeader:
    """The fields of a NIfTI-1 or -2 header that say where the voxels are and what they are.

    ``order`` is "<" or ">". ``oriented`` is whether it places the image in the patient.
    """

    order: str
    extents: tuple[int, ...]
    datatype: int
    bits: int
    offset: int
    oriented: bool

    @classmethod
    def parse(cls, header: bytes) -> NiftiHeader | None:
        """Return the header at the start of ``header``, None if it is not one."""
        for order in "<>":
            if header[:4] == struct.pack(f"{order}i", 348) and len(header) >= 348:
                dim = struct.unpack_from(f"{order}8h", header, 40)
                datatype, bits = struct.unpack_from(f"{order}2h", header, 70)
                offset = struct.unpack_from(f"{order}f", header, 108)[0]
                codes = struct.unpack_from(f"{order}2h", header, 252)
            elif header[:4] == struct.pack(f"{order}i", 540) and len(header) >= 540:
                dim = struct.unpack_from(f"{order}8q", header, 16)
                datatype, bits = struct.unpack_from(f"{order}2h", header, 12)
                offset = struct.unpack_from(f"{order}q", header, 168)[0]
                codes = struct.unpack_from(f"{order}2i", header, 344)
            else:
                continue
            extents = tuple(max(1, extent) for extent in dim[1 : 1 + max(0, min(dim[0], 7))])
            return cls(order, extents, datatype, bits, int(offset), any(codes))
        return None

    @property
    def size(self) -> int:
        """Return the size in bytes of the whole file, unpacked."""
        voxels = 1
        for extent in self.extents:
            voxels *= extent
        return self.offset + (voxels * self.bits + 7) // 8


def is_nifti(path: Path) -> bool:
    """Return whether the name is that of a NIfTI file with the voxels in it."""
    return path.name.lower().endswith((".nii", ".nii.gz"))


def read_nifti_header(path: Path) -> NiftiHeader | None:
    """Return the header of a ``.nii`` or ``.nii.gz``, None if it is not one."""
    with _opened(path) as file:
        return NiftiHeader.parse(file.read(HEADER_BYTES))


def with_non_finite(path: Path, header: NiftiHeader, array: np.ndarray, frame: int) -> np.ndarray:
    """Return ``array`` [k, j, i], as ITK read it, with NaN where the file has no finite number.

    ``frame`` is the one that was read of a 4D file. Costs a second reading of files that hold
    floating-point numbers; the others cannot.
    """
    kind = _FLOATS.get(header.datatype)
    if kind is None or array.dtype.kind != "f" or array.size != int(np.prod(header.extents[:3])):
        return array
    stored = np.dtype(header.order + kind)
    restored = array
    with _opened(path) as file:
        file.seek(header.offset + frame * array.size * stored.itemsize)
        for start in range(0, array.size, _BLOCK):
            count = min(_BLOCK, array.size - start)
            values = np.frombuffer(file.read(count * stored.itemsize), stored)
            missing = np.flatnonzero(~np.isfinite(values))
            if missing.size:
                restored = array.copy() if restored is array else restored
                restored.reshape(-1)[start + missing] = np.nan
    return restored


def _opened(path: Path) -> BinaryIO:
    return gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")
