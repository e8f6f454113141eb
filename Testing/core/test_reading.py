from __future__ import annotations

import gc
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from GDLACore.errors import VolumeError
from GDLACore.imaging.reading import read_labels, read_volume
from GDLACore.imaging.volume import Volume, sitk_geometry

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


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
def test_every_volume_format_keeps_voxels_and_places(tmp_path, suffix):
    scan = read_volume(write(tmp_path / f"scan{suffix}", grey()))
    np.testing.assert_array_equal(scan.array, grey())
    np.testing.assert_allclose(scan.ijk_to_ras, MATRIX, atol=1e-5)
    assert scan.array.dtype == np.int16
    assert scan.name == "scan"
    assert scan.modality is None


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, np.float64, np.int64])
def test_the_stored_type_is_kept(tmp_path, dtype):
    assert read_volume(write(tmp_path / "a.nrrd", grey(dtype))).array.dtype == dtype


def test_padding_of_a_32_bit_ct_is_kept(tmp_path):
    array = grey(np.int32)
    array[0, 0] = -3024
    assert read_volume(write(tmp_path / "a.nii.gz", array)).array.min() == -3024


def test_a_name_may_hold_spaces_accents_and_dots(tmp_path):
    path = write(tmp_path / "Bauch späte Phase 1.5.nii.gz", grey())
    assert read_volume(str(path)).name == "Bauch späte Phase 1.5"


def test_the_voxels_outlive_the_image_they_were_read_with(tmp_path):
    array = read_volume(write(tmp_path / "a.nrrd", grey())).array
    gc.collect()
    SimpleITK.Image([7, 6, 5], SimpleITK.sitkInt16)
    np.testing.assert_array_equal(array, grey())
    assert not array.flags.writeable


def test_left_handed_axes_stay_left_handed(tmp_path):
    matrix = MATRIX @ np.diag([1, 1, -1, 1])
    scan = read_volume(write(tmp_path / "a.nrrd", grey(), matrix))
    assert np.linalg.det(scan.ijk_to_ras[:3, :3]) < 0


def test_a_file_without_spacing_has_voxels_of_one_millimetre(tmp_path):
    path = tmp_path / "a.nrrd"
    path.write_bytes(
        b"NRRD0004\ntype: short\ndimension: 3\nsizes: 7 6 5\nencoding: raw\nendian: little\n\n"
        + grey().tobytes()
    )
    assert read_volume(path).spacing == (1.0, 1.0, 1.0)


def test_one_slice_and_three_slices_are_volumes(tmp_path):
    for count in (1, 3):
        assert read_volume(write(tmp_path / "a.nii.gz", grey()[:count])).shape == (count, 6, 7)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_a_colour_picture_is_one_slice_of_three_channels(tmp_path, suffix):
    scan = read_volume(write(tmp_path / f"skin{suffix}", colours(), vector=True))
    np.testing.assert_array_equal(scan.array, colours()[None])
    assert scan.array.dtype == np.uint8


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_a_grey_picture_has_one_channel(tmp_path, suffix):
    scan = read_volume(write(tmp_path / f"us{suffix}", np.full((6, 7), 90, np.uint8)))
    assert scan.array.shape == (1, 6, 7)
    assert abs(int(scan.array[0, 3, 3]) - 90) <= 1


def test_a_16_bit_grey_picture_keeps_its_values(tmp_path):
    array = grey(np.uint16)[0] * 60
    np.testing.assert_array_equal(read_volume(write(tmp_path / "a.png", array)).array[0], array)


def test_a_jpeg_is_read_in_colour(tmp_path):
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    array = read_volume(write(tmp_path / "a.jpg", red, vector=True)).array
    assert np.abs(array.astype(int) - red).max() < 6


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha"])
def test_a_colour_volume_has_its_channels_last(tmp_path, suffix):
    array = np.stack([grey(np.uint8)] * 3, axis=-1) + np.arange(3, dtype=np.uint8)
    scan = read_volume(write(tmp_path / f"a{suffix}", array, vector=True))
    np.testing.assert_array_equal(scan.array, array)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_transparency_is_dropped_with_a_warning(tmp_path, suffix, caplog):
    array = np.dstack([colours(), np.full((6, 7), 128, np.uint8)])
    scan = read_volume(write(tmp_path / f"a{suffix}", array, vector=True))
    np.testing.assert_array_equal(scan.array[0], colours())
    assert "transparency" in caplog.text


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


def test_a_png_palette_becomes_colours(tmp_path):
    indices = np.array([[0, 1], [2, 1]], np.uint8)
    colour_table = np.array([[10, 20, 30], [200, 0, 90], [7, 8, 9]], np.uint8)
    scan = read_volume(png(tmp_path / "a.png", 3, indices, colour_table.tobytes()))
    np.testing.assert_array_equal(scan.array[0], colour_table[indices])


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


def test_a_bitmap_with_a_grey_palette_is_grey(tmp_path):
    indices = colours()[..., 0]
    table = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    scan = read_volume(bmp(tmp_path / "a.bmp", indices, table))
    np.testing.assert_array_equal(scan.array, indices[None])


def test_a_bitmap_palette_becomes_colours(tmp_path):
    table = np.array([[10, 20, 30], [200, 0, 90]], np.uint8)
    indices = (colours()[..., 0] > 128).astype(np.uint8)
    scan = read_volume(bmp(tmp_path / "a.bmp", indices, table))
    np.testing.assert_array_equal(scan.array[0], table[indices])


def test_a_picture_with_the_wrong_suffix_is_read_by_its_content(tmp_path):
    path = write(tmp_path / "a.png", colours(), vector=True).rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_volume(path).array[0], colours())


def test_pages_of_a_tiff_are_slices_and_can_be_chosen(tmp_path):
    path = write(tmp_path / "a.tif", grey(np.uint8))
    np.testing.assert_array_equal(read_volume(path).array, grey(np.uint8))
    np.testing.assert_array_equal(read_volume(path, frame=2).array, grey(np.uint8)[2:3])


# 4D -------------------------------------------------------------------------------------------


def four(path: Path) -> tuple[Path, np.ndarray]:
    array = np.stack([grey() + t for t in range(3)])
    return write(path, array), array


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_a_4d_file_says_which_frames_there_are(tmp_path, suffix):
    error = refusal(four(tmp_path / f"a{suffix}")[0])
    assert "3 volumes" in error.message
    assert "--frame" in error.hint and "0 to 2" in error.hint


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_one_frame_of_a_4d_file_can_be_chosen(tmp_path, suffix):
    path, array = four(tmp_path / f"a{suffix}")
    for frame in range(3):
        np.testing.assert_array_equal(read_volume(path, frame=frame).array, array[frame])


@pytest.mark.parametrize("frame", [-1, 3])
def test_a_frame_that_is_not_there_is_refused(tmp_path, frame):
    assert "0 to 2" in refusal(four(tmp_path / "a.nii")[0], frame=frame).message


def test_a_4d_file_of_one_frame_is_a_volume(tmp_path):
    path = write(tmp_path / "a.nrrd", grey()[None])
    np.testing.assert_array_equal(read_volume(path).array, grey())
    np.testing.assert_array_equal(read_volume(path, frame=0).array, grey())


def test_a_3d_file_has_no_second_frame(tmp_path):
    path = write(tmp_path / "a.nrrd", grey())
    assert "only one frame" in refusal(path, frame=1).message
    assert read_volume(path, frame=0).shape == (5, 6, 7)


def test_a_sequence_stored_as_components_has_frames(tmp_path):
    array = np.stack([grey() + t for t in range(7)], axis=-1)
    path = write(tmp_path / "a.nrrd", array, vector=True)
    assert "7 volumes" in refusal(path).message
    np.testing.assert_array_equal(read_volume(path, frame=6).array, grey() + 6)


def test_five_dimensions_are_refused(tmp_path):
    path = tmp_path / "a.nrrd"
    path.write_bytes(
        b"NRRD0004\ntype: uchar\ndimension: 5\nsizes: 4 4 4 2 2\n"
        b"kinds: domain domain domain domain domain\nencoding: raw\n\n" + bytes(256)
    )
    refusal(path)


def test_two_channels_are_refused_and_one_can_be_chosen(tmp_path):
    path = write(tmp_path / "a.mha", np.stack([grey(), grey() + 1], axis=-1), vector=True)
    error = refusal(path)
    assert "2 channels" in error.message and "3-channel" in error.message
    np.testing.assert_array_equal(read_volume(path, frame=1).array, grey() + 1)


# Files that are no image ----------------------------------------------------------------------


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    assert "no file or folder" in refusal(tmp_path / "scan.nii.gz").message


def test_a_file_that_may_not_be_read_says_so(tmp_path, monkeypatch):
    def denied(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    path = write(tmp_path / "a.nrrd", grey())
    monkeypatch.setattr("GDLACore.imaging.reading.is_dicom", denied)  # root may read everything
    assert "Permission denied" in refusal(path).message


def test_a_name_longer_than_the_system_allows_is_refused(tmp_path):
    refusal(tmp_path / ("a" * 300 + ".nrrd"))


@pytest.mark.parametrize("name", ["a.nii.gz", "a.png", "a.dcm", "a"])
def test_an_empty_file_is_said_to_be_empty(tmp_path, name):
    (tmp_path / name).touch()
    assert "empty" in refusal(tmp_path / name).message


@pytest.mark.parametrize("suffix", [*VOLUME_SUFFIXES, ".png", ".jpg", ".txt", ".dcm", ""])
def test_text_is_not_an_image(tmp_path, suffix):
    path = tmp_path / f"notes{suffix}"
    path.write_text("Patient is doing well.\n" * 50)
    assert "not an image" in refusal(path).message


@pytest.mark.parametrize("share", [0.4, 0.9])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_a_truncated_volume_is_said_to_be_damaged(tmp_path, suffix, share):
    array = np.random.default_rng(0).integers(0, 30000, size=(12, 30, 30)).astype(np.int16)
    path = cut(write(tmp_path / f"a{suffix}", array), share)
    assert "damaged" in refusal(path).message


@pytest.mark.parametrize("missing", [1, 4, 8])
def test_a_gzip_file_without_its_last_bytes_is_said_to_be_damaged(tmp_path, missing):
    path = write(tmp_path / "a.nii.gz", grey())
    path.write_bytes(path.read_bytes()[:-missing])
    assert "damaged" in refusal(path).message


def test_a_gzip_file_of_several_members_is_complete(tmp_path):
    import gzip

    data = gzip.decompress(write(tmp_path / "a.nii.gz", grey()).read_bytes())
    path = tmp_path / "b.nii.gz"
    path.write_bytes(gzip.compress(data[:400]) + gzip.compress(data[400:]) + gzip.compress(b""))
    np.testing.assert_array_equal(read_volume(path).array, grey())


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
def test_a_truncated_picture_is_said_to_be_damaged(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, size=(60, 70, 3)).astype(np.uint8)
    path = cut(write(tmp_path / f"a{suffix}", noise, vector=True), 0.6)
    assert "damaged" in refusal(path).message


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_a_header_without_its_data_file_says_what_is_missing(tmp_path, suffix):
    path = write(tmp_path / f"a{suffix}", grey())
    for other in tmp_path.iterdir():
        if other != path:
            other.unlink()
    assert "data file" in refusal(path).hint


def nrrd_with_directions(path: Path, directions: str) -> Path:
    path.write_bytes(
        b"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 7 6 5\n"
        + f"space directions: {directions}\n".encode()
        + b"space origin: (0,0,0)\nencoding: raw\nendian: little\n\n"
        + grey().tobytes()
    )
    return path


@pytest.mark.parametrize("last", ["(0,1,0)", "(0,0,0)"])
def test_a_singular_geometry_is_refused(tmp_path, last):
    path = nrrd_with_directions(tmp_path / "a.nrrd", f"(1,0,0) (0,1,0) {last}")
    assert "singular" in refusal(path).message


def test_a_sheared_nrrd_keeps_its_shear(tmp_path):
    path = nrrd_with_directions(tmp_path / "a.nrrd", "(1,0,0) (0,1,0) (0.3,0.2,2)")
    np.testing.assert_allclose(read_volume(path).ijk_to_ras[:3, 2], [-0.3, -0.2, 2])


def test_a_sheared_nifti_is_refused_with_a_way_out(tmp_path):
    path = write(tmp_path / "a.nii", grey())
    data = bytearray(path.read_bytes())
    struct.pack_into("<hh", data, 252, 0, 1)  # no qform, scanner sform
    struct.pack_into("<12f", data, 280, 1, 0.4, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
    path.write_bytes(data)
    error = refusal(path)
    assert "sheared" in error.message and "NRRD" in error.hint


def test_complex_numbers_are_refused(tmp_path):
    path = write(tmp_path / "a.nii", grey(np.complex64))
    assert "complex" in refusal(path).message


def test_a_grey_png_with_transparency_is_refused_in_words(tmp_path):
    rows = np.zeros((4, 5, 2), np.uint8)
    assert "transparency" in refusal(png(tmp_path / "a.png", 4, rows)).message


def test_a_series_cannot_be_chosen_in_one_file(tmp_path):
    path = write(tmp_path / "a.nrrd", grey())
    assert "series" in refusal(path, series="2").message


@pytest.mark.slow
def test_an_image_above_two_gigabytes_is_read_to_its_last_voxel(tmp_path):
    path = tmp_path / "large.nrrd"
    size = 1300**3  # above 2**31 voxels and bytes
    header = (
        b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 1300 1300 1300\nencoding: raw\n"
        b"endian: little\n\n"
    )
    with path.open("wb") as file:  # a hole in the file, not 2 GB of disk
        file.write(header)
        file.seek(len(header) + size - 1)
        file.write(b"\x07")
    array = read_volume(path).array
    assert array.shape == (1300, 1300, 1300)
    assert array[-1, -1, -1] == 7


# Label maps -----------------------------------------------------------------------------------


def reference() -> Volume:
    return Volume(grey(), MATRIX, "scan")


LABELS = (grey() % 5).astype(np.uint8)


def moved(matrix: np.ndarray, **shifts: float) -> np.ndarray:
    offset = np.eye(4)
    offset[:3, 3] = [shifts.get(axis, 0) for axis in "ijk"]
    return matrix @ offset


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1)])
@pytest.mark.parametrize("signs", [(1, 1, 1), (1, -1, 1), (-1, 1, -1), (-1, -1, -1)])
def test_labels_stored_in_another_order_come_back_on_the_images_grid(tmp_path, order, signs):
    array = LABELS.transpose(order)[tuple(slice(None, None, s) for s in signs)]
    stored = np.zeros((4, 4))
    stored[3, 3] = 1
    for axis, (source, sign) in enumerate(zip(order, signs, strict=True)):
        stored[2 - source, 2 - axis] = sign
        stored[2 - source, 3] = array.shape[axis] - 1 if sign < 0 else 0
    path = write(tmp_path / "a.nrrd", np.ascontiguousarray(array), MATRIX @ stored)
    np.testing.assert_array_equal(read_labels(path, reference()), LABELS)


def test_labels_cropped_to_their_content_are_put_in_place(tmp_path):
    path = write(tmp_path / "a.seg.nrrd", LABELS[1:4, 2:, 3:5], moved(MATRIX, i=3, j=2, k=1))
    expected = np.zeros_like(LABELS)
    expected[1:4, 2:, 3:5] = LABELS[1:4, 2:, 3:5]
    np.testing.assert_array_equal(read_labels(path, reference()), expected)


@pytest.mark.parametrize(
    "matrix",
    [
        moved(MATRIX, i=0.5),
        moved(MATRIX, k=1),
        moved(MATRIX, j=-1),
        MATRIX @ np.diag([1.1, 1, 1, 1]),
        MATRIX @ np.diag([1, 1, 0.5, 1]),
        np.eye(4),
    ],
)
def test_labels_on_another_grid_are_refused(tmp_path, matrix):
    path = write(tmp_path / "a.nrrd", LABELS, matrix)
    with pytest.raises(VolumeError, match="not on the grid") as caught:
        read_labels(path, reference())
    assert "Resample" in caught.value.hint


def test_rounding_of_a_header_does_not_move_labels(tmp_path):
    path = write(tmp_path / "a.nii.gz", LABELS, moved(MATRIX, i=0.01) * 1.0)
    np.testing.assert_array_equal(read_labels(path, reference()), LABELS)


def test_labels_stored_as_whole_real_numbers_are_labels(tmp_path):
    path = write(tmp_path / "a.nii.gz", LABELS.astype(np.float32))
    labels = read_labels(path, reference())
    np.testing.assert_array_equal(labels, LABELS)
    assert labels.dtype.kind == "i"


@pytest.mark.parametrize("value", [0.5, np.nan])
def test_probabilities_are_not_labels(tmp_path, value):
    array = LABELS.astype(np.float32)
    array[0, 0, 0] = value
    with pytest.raises(VolumeError, match="not whole numbers"):
        read_labels(write(tmp_path / "a.nrrd", array), reference())


def test_a_mask_stored_as_grey_colours_is_a_label_map(tmp_path):
    mask = (colours()[..., 0] > 128).astype(np.uint8) * 255
    image = read_volume(write(tmp_path / "image.png", colours(), vector=True))
    path = write(tmp_path / "mask.png", np.dstack([mask] * 3), vector=True)
    np.testing.assert_array_equal(read_labels(path, image), mask[None])


def test_a_colour_picture_is_not_a_label_map(tmp_path):
    path = write(tmp_path / "image.png", colours(), vector=True)
    with pytest.raises(VolumeError, match="colour"):
        read_labels(path, read_volume(path))


def test_a_name_that_is_not_utf8_is_refused_instead_of_ending_the_program(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.nrrd")
    image = SimpleITK.Image(4, 4, 4, SimpleITK.sitkInt16)
    SimpleITK.WriteImage(image, str(tmp_path / "ok.nrrd"))
    os.rename(tmp_path / "ok.nrrd", path)
    with pytest.raises(VolumeError, match="not valid UTF-8"):
        read_volume(path)


def test_the_current_folder_is_called_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "study").mkdir()
    monkeypatch.chdir(tmp_path / "study")
    with pytest.raises(VolumeError, match="The folder study contains no DICOM images"):
        read_volume(".")
