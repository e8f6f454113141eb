from __future__ import annotations

import os

import numpy as np
import pytest
import SimpleITK
from image_files import MATRIX, colours, grey, write

from GDLACore.errors import VolumeError
from GDLACore.imaging.reading import read_labels, read_volume
from GDLACore.imaging.volume import Volume


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
