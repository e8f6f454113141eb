"""Images and label maps as NRRD bytes, with every error of the system reported.

Written here and not by ITK because ITK 5.4 misses a full disk, and because nothing may come into
the header that the caller does not name. Format: teem.sourceforge.net/nrrd/format.html.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from typing import BinaryIO

import numpy as np

from GDLACore.imaging.volume import sitk_geometry

# Label maps are mostly runs: higher levels cost up to ten times the time for kilobytes.
_LEVEL = 3
_AT_ONCE = 4 << 20  # bytes; between two of them others get Python's lock, and may stop the work

_TYPES = {
    "i1": "signed char",
    "u1": "unsigned char",
    "i2": "short",
    "u2": "unsigned short",
    "i4": "int",
    "u4": "unsigned int",
    "i8": "long long int",
    "u8": "unsigned long long int",
    "f4": "float",
    "f8": "double",
}

# Called with how many bytes are done, and how many there are.
OnBytes = Callable[[int, int], None]


def _ignore(done: int, total: int) -> None:
    pass


def write_nrrd(
    file: BinaryIO,
    array: np.ndarray,
    ijk_to_ras: np.ndarray,
    fields: Mapping[str, str],
    on_bytes: OnBytes = _ignore,
) -> None:
    """Write a gzipped NRRD of ``array`` [k, j, i] or [k, j, i, 3], with the pairs ``fields``.

    ``on_bytes`` hears of every few megabytes; what it raises ends the writing.
    """
    if f"{array.dtype.kind}{array.itemsize}" not in _TYPES:  # booleans and half precision
        array = array.astype(np.uint8 if array.dtype.kind == "b" else np.float32)
    origin, spacing, direction = sitk_geometry(ijk_to_ras)
    axes = [_vector(axis) for axis in (np.reshape(direction, (3, 3)) * spacing).T]
    kinds = ["domain"] * 3
    if array.ndim == 4:
        axes, kinds = ["none", *axes], ["RGB-color", *kinds]
    lines = [
        "NRRD0004",
        f"type: {_TYPES[f'{array.dtype.kind}{array.itemsize}']}",
        f"dimension: {array.ndim}",
        "space: left-posterior-superior",
        f"sizes: {' '.join(str(size) for size in array.shape[::-1])}",
        f"space directions: {' '.join(axes)}",
        f"kinds: {' '.join(kinds)}",
        "endian: little",
        "encoding: gzip",
        f"space origin: {_vector(origin)}",
    ]
    lines += [f"{key}:={value}".replace("\\", "\\\\") for key, value in fields.items()]
    file.write("\n".join([*lines, "", ""]).encode())
    write_gzip(file, b"", array, on_bytes)


def write_gzip(
    file: BinaryIO, header: bytes, array: np.ndarray, on_bytes: OnBytes = _ignore
) -> None:
    """Write ``header`` and the voxels, little-endian, as one gzip stream without name or time."""
    voxels = memoryview(little_endian(array)).cast("B")
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=_LEVEL, filename="", mtime=0) as out:
        out.write(header)
        for start in range(0, len(voxels), _AT_ONCE):
            out.write(voxels[start : start + _AT_ONCE])
            on_bytes(min(start + _AT_ONCE, len(voxels)), len(voxels))


def little_endian(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<"))


def _vector(numbers: object) -> str:
    return f"({','.join(str(number) for number in np.asarray(numbers).tolist())})"
