"""The kind of image that a volume seems to be."""

from __future__ import annotations

import numpy as np
import pytest
import segmenting  # noqa: F401  makes GDLASegmenterLib known

from GDLACore.imaging.volume import Volume
from GDLASegmenterLib.ModalityGuess import guessModality


def volume(array, modality=None):
    return Volume(np.asarray(array), np.eye(4), "image", modality)


def body(low, high, shape=(20, 40, 40)):
    return np.linspace(low, high, int(np.prod(shape))).reshape(shape).astype(np.int16)


@pytest.mark.parametrize(
    ("array", "modality"),
    [
        (body(-1000, 1500), "CT"),
        (body(-2048, 3000), "CT"),
        (body(0, 1500), "MR"),
        (body(-200, 1500), "MR"),  # after filtering, an MR may be below zero
        (np.zeros((1, 300, 400), np.uint8), "US"),
        (np.zeros((300, 1, 400), np.uint8), "US"),
        (np.zeros((1, 300, 400), np.int16), "MR"),
        (np.zeros((40, 300, 400), np.uint8), "MR"),
        (np.zeros((1, 30, 40, 3), np.uint8), "RGB"),
    ],
)
def test_values_and_shape_tell_what_dicom_does_not(array, modality):
    assert guessModality(volume(array)) == modality


@pytest.mark.parametrize("modality", ["CT", "MR", "US"])
def test_dicom_knows_better(modality):
    assert guessModality(volume(np.zeros((1, 30, 40, 3), np.uint8), modality)) == modality


def test_a_modality_without_checkpoints_tells_nothing():
    assert guessModality(volume(body(-1000, 1500), "PT")) == "CT"


def test_air_is_found_at_the_border_of_a_large_volume():
    array = np.full((300, 512, 512), 40, np.int16)
    array[:, :16, :] = -1000
    assert guessModality(volume(array)) == "CT"
