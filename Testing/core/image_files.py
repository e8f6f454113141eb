"""Image files of every format, good and bad, to read."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from GDLACore.errors import VolumeError
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.volume import sitk_geometry

TURN = 22
MATRIX = np.array(
    [
        [-0.7 * np.cos(np.radians(TURN)), 0.8 * np.sin(np.radians(TURN)), 0, 11],
        [-0.7 * np.sin(np.radians(TURN)), -0.8 * np.cos(np.radians(TURN)), 0, -22],
        [0, 0, 3, 33],
        [0, 0, 0, 1],
    ]
)
VOLUME_SUFFIXES = [".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd"]


def grey(dtype: type = np.int16) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 1000, size=(5, 6, 7)).astype(dtype)


def colours() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, size=(6, 7, 3)).astype(np.uint8)


def write(path: Path, array: np.ndarray, matrix: np.ndarray = MATRIX, vector: bool = False) -> Path:
    image = SimpleITK.GetImageFromArray(array, isVector=vector)
    if image.GetDimension() == 3:
        origin, spacing, direction = sitk_geometry(matrix)
        image.SetOrigin(origin)
        image.SetSpacing(spacing)
        image.SetDirection(direction)
    SimpleITK.WriteImage(image, str(path), useCompression=path.suffix in (".gz", ".nrrd"))
    return path


def cut(path: Path, share: float) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def refusal(path: Path, **options: object) -> VolumeError:
    """Return the error of reading ``path``; every one names the file and says what to do."""
    with pytest.raises(VolumeError) as caught:
        read_volume(path, **options)
    assert path.name in caught.value.message
    assert caught.value.hint
    return caught.value


def png(path: Path, colour_type: int, rows: np.ndarray, palette: bytes = b"") -> Path:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    height, width = rows.shape[:2]
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0))
        + (chunk(b"PLTE", palette) if palette else b"")
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )
    return path


def bmp(path: Path, indices: np.ndarray, table: np.ndarray) -> Path:
    """Write an 8-bit palette bitmap; rows run upwards and are padded to four bytes."""
    height, width = indices.shape
    stride = -(-width // 4) * 4
    rows = np.zeros((height, stride), np.uint8)
    rows[:, :width] = indices[::-1]
    entries = np.zeros((256, 4), np.uint8)
    entries[: len(table), :3] = table[:, ::-1]
    offset = 54 + 1024
    head = struct.pack("<2sIHHI", b"BM", offset + rows.size, 0, 0, offset)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 0, rows.size, 0, 0, 256, 0)
    path.write_bytes(head + info + entries.tobytes() + rows.tobytes())
    return path


def four(path: Path) -> tuple[Path, np.ndarray]:
    array = np.stack([grey() + t for t in range(3)])
    return write(path, array), array


def nrrd_with_directions(path: Path, directions: str) -> Path:
    path.write_bytes(
        b"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 7 6 5\n"
        + f"space directions: {directions}\n".encode()
        + b"space origin: (0,0,0)\nencoding: raw\nendian: little\n\n"
        + grey().tobytes()
    )
    return path
