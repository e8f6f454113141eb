"""Label maps as NIfTI-1 and MetaImage bytes, with every error of the system reported.

Written here and not by ITK because ITK 5.4 misses a full disk: its NIfTI writer truncates the file
and reports success, the other two miss the last kilobytes. It also changes sheared NIfTI grids.

``labels`` are [k, j, i], uint8 or uint16. Formats: nifti.nimh.nih.gov/nifti-1,
itk.org/Wiki/MetaIO/Documentation.
"""

from __future__ import annotations

import zlib
from typing import BinaryIO

import numpy as np
from scipy.spatial.transform import Rotation

from GDLACore.errors import OutputError
from GDLACore.imaging.nrrd_file import little_endian, write_gzip
from GDLACore.imaging.volume import sitk_geometry

# Label maps are mostly runs: higher levels cost up to ten times the time for kilobytes.
_LEVEL = 3

_NIFTI_HEADER = np.dtype(
    [
        ("sizeof_hdr", "<i4"),
        ("unused1", "V36"),
        ("dim", "<i2", 8),
        ("unused2", "V14"),
        ("datatype", "<i2"),
        ("bitpix", "<i2"),
        ("slice_start", "<i2"),
        ("pixdim", "<f4", 8),
        ("vox_offset", "<f4"),
        ("scl_slope", "<f4"),
        ("scl_inter", "<f4"),
        ("slice_end", "<i2"),
        ("slice_code", "u1"),
        ("xyzt_units", "u1"),
        ("unused3", "V24"),
        ("descrip", "S80"),
        ("aux_file", "S24"),
        ("qform_code", "<i2"),
        ("sform_code", "<i2"),
        ("quatern", "<f4", 3),
        ("qoffset", "<f4", 3),
        ("srow", "<f4", (3, 4)),
        ("intent_name", "S16"),
        ("magic", "S4"),
        ("extension", "V4"),
    ]
)
_NIFTI_TYPES = {1: 2, 2: 512}  # bytes per voxel -> DT_UINT8, DT_UINT16
_NIFTI_LONGEST_AXIS = 32_767
_SCANNER, _ALIGNED, _MILLIMETRES = 1, 2, 2


def write_nifti(file: BinaryIO, labels: np.ndarray, ijk_to_ras: np.ndarray) -> None:
    """Write an uncompressed NIfTI-1 file."""
    file.write(_nifti_header(labels, ijk_to_ras))
    for slice_ in little_endian(labels):
        file.write(slice_)


def write_nifti_gzip(file: BinaryIO, labels: np.ndarray, ijk_to_ras: np.ndarray) -> None:
    """Write a gzipped NIfTI-1 file."""
    write_gzip(file, _nifti_header(labels, ijk_to_ras), labels)


def write_metaimage(file: BinaryIO, labels: np.ndarray, ijk_to_ras: np.ndarray) -> None:
    """Write a compressed MetaImage (.mha)."""
    origin, spacing, direction = sitk_geometry(ijk_to_ras)
    compressor = zlib.compressobj(_LEVEL)
    data = [compressor.compress(slice_) for slice_ in little_endian(labels)]
    data.append(compressor.flush())
    lines = [
        "ObjectType = Image",
        "NDims = 3",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        "CompressedData = True",
        f"CompressedDataSize = {sum(map(len, data))}",
        f"TransformMatrix = {_words(np.reshape(direction, (3, 3)).T.ravel())}",
        f"Offset = {_words(origin)}",
        "CenterOfRotation = 0 0 0",
        f"ElementSpacing = {_words(spacing)}",
        f"DimSize = {_words(labels.shape[::-1])}",
        f"ElementType = {'MET_UCHAR' if labels.itemsize == 1 else 'MET_USHORT'}",
        "ElementDataFile = LOCAL",
    ]
    file.write("\n".join([*lines, ""]).encode())
    file.writelines(data)


def _nifti_header(labels: np.ndarray, ijk_to_ras: np.ndarray) -> bytes:
    """Return header and empty extension: the exact matrix (sform), and its rotation (qform)."""
    if max(labels.shape) > _NIFTI_LONGEST_AXIS:
        raise OutputError(
            f"NIfTI files cannot hold an axis of {max(labels.shape)} voxels.",
            "Write .nrrd instead.",
        )
    spacing = np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
    axes = ijk_to_ras[:3, :3] / spacing
    handedness = np.sign(np.linalg.det(axes))
    orthogonal = np.allclose(axes.T @ axes, np.eye(3), atol=1e-4)
    header = np.zeros((), _NIFTI_HEADER)
    header["sizeof_hdr"] = 348
    header["dim"] = (3, *labels.shape[::-1], 1, 1, 1, 1)
    header["datatype"] = _NIFTI_TYPES[labels.itemsize]
    header["bitpix"] = 8 * labels.itemsize
    header["pixdim"] = (handedness, *spacing, 0, 0, 0, 0)
    header["vox_offset"] = _NIFTI_HEADER.itemsize
    header["scl_slope"] = 1
    header["xyzt_units"] = _MILLIMETRES
    header["qform_code"] = _SCANNER if orthogonal else 0
    header["sform_code"] = _SCANNER if orthogonal else _ALIGNED
    # The standard flips the third axis of left-handed grids before taking the quaternion, whose
    # real part it leaves out and thus wants positive.
    quaternion = Rotation.from_matrix(axes * (1, 1, handedness)).as_quat()
    header["quatern"] = (quaternion * np.copysign(1, quaternion[3]))[:3]
    header["qoffset"] = ijk_to_ras[:3, 3]
    header["srow"] = ijk_to_ras[:3]
    header["magic"] = b"n+1"
    return header.tobytes()


def _words(numbers: object) -> str:
    return " ".join(str(number) for number in np.asarray(numbers).tolist())
