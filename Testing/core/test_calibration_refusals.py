"""Volumes on which nothing can be calibrated, and those that are doubtful."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pytest
from abdomen import make_abdomen
from template_engine import SIDE, TemplateEngine, picture

from GDLACore.calibration.findings import calibrate
from GDLACore.calibration.organs import KNOWN_ORDERS
from GDLACore.errors import VolumeError
from GDLACore.imaging.volume import Volume
from GDLACore.model.catalogue import find

HOUNSFIELD = np.stack([(1000 * picture(seed)).astype(np.int16) - 1000 for seed in range(3)])
GREY = np.stack([(255 * picture(seed)).astype(np.uint8) for seed in range(2)])


def engine_of(model: str) -> TemplateEngine:
    return TemplateEngine(dataclasses.replace(find(model).card, input_size=SIDE))


@pytest.mark.parametrize(
    ("model", "array", "modality", "problem"),
    [
        ("synapse", HOUNSFIELD, "MR", "MR image"),
        ("synapse", np.repeat(GREY[..., None], 3, axis=3), None, "a colour image"),
        ("ham10000", GREY, None, "a grey image"),
        ("busi", HOUNSFIELD, None, "negative values, as CT has"),
        ("synapse", np.zeros((4, 16, 16), np.int16), "CT", "shows nothing"),
        ("synapse", np.full((4, 16, 16), 0.5, np.float32), "CT", "shows nothing"),
        ("synapse", np.full((4, 16, 16), np.nan, np.float32), "CT", "shows nothing"),
        ("synapse", np.full((1, 1, 1), 40, np.int16), "CT", "shows nothing"),
    ],
)
def test_a_volume_that_cannot_be_tried_is_refused_before_anything_runs(
    model: str,
    array: np.ndarray,
    modality: str | None,
    problem: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = engine_of(model)
    with pytest.raises(VolumeError, match=problem) as caught:
        calibrate(Volume(array, np.eye(4), "image", modality), engine, None)
    assert caught.value.message.startswith("image ") and caught.value.hint
    assert engine.asked == [] and not caplog.records


def test_a_tiny_volume_is_tried_all_the_same() -> None:
    array = np.random.default_rng(0).integers(-1000, 1000, (1, SIDE, SIDE)).astype(np.int16)
    findings = calibrate(Volume(array, np.eye(4), "tiny", "CT"), engine_of("synapse"), None)
    assert len(findings.trial.attempts) == 24 and len(findings.trial.slices) == 1
    assert findings.advice.view == findings.card.view


def test_a_doubtful_volume_is_warned_of_once_and_first(caplog: pytest.LogCaptureFixture) -> None:
    small = make_abdomen(KNOWN_ORDERS["TransUNet"])
    array = np.zeros(small.labels.shape, np.float32)
    array[:, 4:-4, 4:-4] = np.random.default_rng(0).random(array[:, 4:-4, 4:-4].shape)
    engine = engine_of("synapse")
    engine._scores = lambda slices: np.zeros((len(slices), 9, SIDE, SIDE), np.float32)
    engine._labels = lambda slices, borders: np.zeros((len(slices), *slices.shape[2:]), np.uint8)
    with caplog.at_level(logging.WARNING):
        calibrate(Volume(array, small.ijk_to_ras, "unscaled"), engine, None, slices=2)
    assert [record.getMessage().count("Hounsfield") for record in caplog.records] == [1]
