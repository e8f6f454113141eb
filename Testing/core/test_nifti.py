from __future__ import annotations

import gzip
import logging
from pathlib import Path

import numpy as np
import pytest

from GDLACore.errors import VolumeError
from GDLACore.imaging.reading import read_volume

nibabel = pytest.importorskip("nibabel")


def _scan(dtype: type = np.float32) -> np.ndarray:
    """Return values indexed [i, j, k], with NaN and infinities where the type has them."""
    values = np.random.default_rng(0).integers(-1000, 500, (9, 8, 7)).astype(dtype)
    if np.issubdtype(dtype, np.floating):
        values[1, 2, 3], values[8, 7, 6], values[0, 0, 0] = np.nan, np.inf, -np.inf
    return values


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_voxels_that_are_not_numbers_are_not_read_as_zero(
    tmp_path: Path, kind: type, dtype: type, suffix: str
) -> None:
    values = _scan(dtype)
    path = tmp_path / f"scan{suffix}"
    nibabel.save(kind(values, np.diag([2.0, 2.0, 3.0, 1.0])), path)
    if kind is nibabel.Nifti2Image:
        with pytest.raises(VolumeError):  # ITK cannot read it
            read_volume(path)
        return
    array = read_volume(path).array
    finite = np.isfinite(values.T)
    np.testing.assert_array_equal(array[finite], values.T[finite])
    assert np.isnan(array[~finite]).all()


def test_a_frame_of_a_4d_file_keeps_its_own_gaps(tmp_path: Path) -> None:
    frames = np.stack([_scan(), np.zeros((9, 8, 7), np.float32)], axis=-1)
    nibabel.save(nibabel.Nifti1Image(frames, np.eye(4)), tmp_path / "film.nii.gz")
    assert np.isnan(read_volume(tmp_path / "film.nii.gz", frame=0).array).sum() == 3
    assert not np.isnan(read_volume(tmp_path / "film.nii.gz", frame=1).array).any()


def test_big_endian_files_keep_their_gaps(tmp_path: Path) -> None:
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.float32)
    nibabel.save(nibabel.Nifti1Image(_scan(), np.eye(4), header), tmp_path / "scan.nii")
    assert np.isnan(read_volume(tmp_path / "scan.nii").array).sum() == 3


def test_a_file_without_orientation_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image = nibabel.Nifti1Image(_scan(np.int16), np.eye(4))
    nibabel.save(image, tmp_path / "placed.nii.gz")
    data = bytearray(gzip.decompress((tmp_path / "placed.nii.gz").read_bytes()))
    data[252:256] = bytes(4)  # qform_code and sform_code
    (tmp_path / "lost.nii").write_bytes(data)
    with caplog.at_level(logging.WARNING):
        read_volume(tmp_path / "placed.nii.gz")
        assert not caplog.records
        read_volume(tmp_path / "lost.nii")
    assert "lost.nii does not say how it lies" in caplog.text
