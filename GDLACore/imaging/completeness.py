"""Is the whole file there? For the formats whose readers fill what is missing without a word.

ITK reads a truncated NIfTI, JPEG or BMP as zeros or grey; a segmentation of it would look like a
result. DICOM, NRRD, MetaImage, PNG and TIFF readers report it themselves.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from GDLACore.imaging.nifti import HEADER_BYTES, NiftiHeader

_CHUNK = 1 << 20


def is_complete(path: Path) -> bool:
    """Return False if ``path`` is a NIfTI, JPEG or BMP file that ends before its pixels do."""
    with path.open("rb") as file:
        magic = file.read(2)
    if path.name.lower().endswith(".nii.gz"):
        return _gzipped_nifti(path)
    if path.suffix.lower() == ".nii":
        with path.open("rb") as file:
            return path.stat().st_size >= _nifti_size(file)
    if magic == b"\xff\xd8":
        return _jpeg(path)
    if magic == b"BM":
        return _bmp(path)
    return True


def _nifti_size(file: BinaryIO) -> int:
    """Return the size in bytes of a NIfTI file by its header, 0 if it is not one."""
    header = NiftiHeader.parse(file.read(HEADER_BYTES))
    return 0 if header is None else header.size


def _gzipped_nifti(path: Path) -> bool:
    try:
        with gzip.open(path) as file:
            expected = _nifti_size(file)
        with path.open("rb") as file:
            file.seek(-4, 2)
            declared = struct.unpack("<I", file.read(4))[0]
        # The last four bytes say the unpacked size: no need to unpack a large volume twice.
        if declared == expected % (1 << 32):
            return True
        return _unpacked_size(path) >= expected
    except (OSError, EOFError, zlib.error):
        return False


def _unpacked_size(path: Path) -> int:
    """Count by unpacking: files of several gzip members or with a tail need it."""
    size = 0
    with gzip.open(path) as file:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
    return size


def _jpeg(path: Path) -> bool:
    data = path.read_bytes()
    # An end marker may also close an embedded thumbnail: it must follow the last scan's start.
    return data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")


def _bmp(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.read(54)
    if len(header) < 54:
        return False
    offset = struct.unpack_from("<I", header, 10)[0]
    width, height = struct.unpack_from("<ii", header, 18)
    bits, compression = struct.unpack_from("<HI", header, 28)
    if compression != 0:
        return True  # run lengths: the size does not follow from the header
    stride = (abs(width) * bits + 31) // 32 * 4
    return path.stat().st_size >= offset + stride * abs(height)
