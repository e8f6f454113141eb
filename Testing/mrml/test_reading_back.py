"""What GDLA writes, 3D Slicer reads: names, colours, terminology, and every voxel in its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import slicerio
from phantom import GEOMETRIES, make_card, make_volume
from slicer_reader import read

from GDLACore.imaging.writing import write_segmentation
from GDLACore.model.catalogue import catalogue

LABELS = np.zeros((6, 7, 8), np.uint8)
LABELS[1:3, 2:5, 3:7] = 1
LABELS[4, 5, 6] = 2  # and nothing of the third structure


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("segmentations")
    return {
        name: write_segmentation(
            folder / f"{name}.seg.nrrd", LABELS, make_volume(axes), make_card()
        )
        for name, axes in GEOMETRIES.items()
    }


@pytest.fixture(scope="module")
def seen_by_slicer(files: dict[str, Path]) -> dict[str, dict]:
    return {name: read(path) for name, path in files.items()}


def _positions(value: int, ijk_to_ras: np.ndarray) -> np.ndarray:
    k, j, i = np.nonzero(value == LABELS)
    return (ijk_to_ras @ np.stack([i, j, k, np.ones_like(i)]))[:3].T


def _sorted(points: object) -> np.ndarray:
    points = np.reshape(points, (-1, 3)).round(3)
    return points[np.lexsort(points.T)]


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_slicer_puts_every_voxel_where_the_patient_has_it(seen_by_slicer, geometry):
    ijk_to_ras = make_volume(GEOMETRIES[geometry]).ijk_to_ras
    for value, segment in enumerate(seen_by_slicer[geometry]["segments"], start=1):
        expected = _positions(value, ijk_to_ras)
        np.testing.assert_allclose(
            _sorted(segment["positions"]), _sorted(expected), atol=2e-3, err_msg=segment["name"]
        )


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_slicer_would_edit_on_the_grid_of_the_image(seen_by_slicer, geometry):
    ijk_to_ras = make_volume(GEOMETRIES[geometry]).ijk_to_ras
    np.testing.assert_allclose(seen_by_slicer[geometry]["reference"], ijk_to_ras, atol=1e-9)


def test_slicer_reads_without_complaint_into_one_shared_layer(seen_by_slicer):
    seen = seen_by_slicer["oblique"]
    assert seen["success"]
    assert seen["messages"] == ""
    assert seen["source"] == "Binary labelmap"
    assert seen["layers"] == 1


def test_slicer_lists_every_structure_of_the_model_with_its_look_and_meaning(seen_by_slicer):
    labels = make_card().labels
    segments = seen_by_slicer["axial"]["segments"]
    assert [s["name"] for s in segments] == ["liver", "spleen", "aorta"]
    assert [s["value"] for s in segments] == [1, 2, 3]
    assert [s["terminology"] for s in segments] == [x.terminology.serialized() for x in labels]
    assert {s["model"] for s in segments} == {"abdomen:1.2"}
    for segment, label in zip(segments, labels, strict=True):
        np.testing.assert_allclose(np.multiply(segment["color"], 255), label.color, atol=1e-3)


def test_slicer_keeps_a_structure_that_was_not_found_as_an_empty_segment(seen_by_slicer):
    assert seen_by_slicer["axial"]["segments"][2]["positions"].size == 0


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_slicerio_reads_the_same_voxels_and_grid(files, geometry):
    read = slicerio.read_segmentation(str(files[geometry]))
    np.testing.assert_array_equal(read["voxels"].transpose(2, 1, 0), LABELS)
    ijk_to_ras = np.diag([-1, -1, 1, 1]) @ read["ijkToLPS"]
    np.testing.assert_allclose(ijk_to_ras, make_volume(GEOMETRIES[geometry]).ijk_to_ras, atol=1e-9)


def test_slicerio_reads_names_colours_and_terminology(files):
    read = slicerio.read_segmentation(str(files["axial"]))
    for segment, label in zip(read["segments"], make_card().labels, strict=True):
        assert segment["name"] == label.name
        assert segment["labelValue"] == label.value
        assert segment["terminology"]["type"][1] == label.terminology.type.value
        assert segment["tags"] == {
            "GDLA.Model": "abdomen:1.2",
            "GDLA.Label": label.name,
        }
        np.testing.assert_allclose(np.multiply(segment["color"], 255), label.color, atol=1e-3)


def test_slicerio_extracts_one_structure_by_its_code(files):
    read = slicerio.read_segmentation(str(files["oblique"]))
    wanted = {"category": ["SCT", "123037004"], "type": ["SCT", "10200004"]}
    extracted = slicerio.extract_segments(read, [(wanted, 1)])
    np.testing.assert_array_equal(extracted["voxels"].transpose(2, 1, 0) == 1, LABELS == 1)


def test_every_model_of_the_catalogue_gives_segments_that_slicer_understands(tmp_path):
    for card in [entry.card for entry in catalogue()]:
        path = tmp_path / f"{card.name}.seg.nrrd"
        seen = read(write_segmentation(path, LABELS, make_volume(np.eye(3)), card))
        assert [s["name"] for s in seen["segments"]] == [label.name for label in card.labels]
        assert [s["terminology"] for s in seen["segments"]] == [
            label.terminology.serialized() for label in card.labels
        ]
