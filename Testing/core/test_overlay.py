"""Overlay pictures show the right slices, the right way round, in true proportions."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
from phantom import GEOMETRIES, make_card, make_volume

from GDLACore.errors import OutputError
from GDLACore.imaging.measure import structure_table
from GDLACore.imaging.overlay import montage, write_montage
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard
from GDLACore.model.catalogue import find

Image = pytest.importorskip("PIL.Image")

MAGENTA = (255, 0, 255)
SHAPE = (6, 60, 80)


@pytest.fixture
def card() -> ModelCard:
    card = make_card()
    labels = tuple(dataclasses.replace(label, color=MAGENTA) for label in card.labels)
    return dataclasses.replace(card, labels=labels)


def _volume(axes: np.ndarray, shape: tuple[int, ...] = SHAPE) -> Volume:
    """A bright image, so that nothing of it is taken for air and cut off."""
    volume = make_volume(axes, shape)
    return dataclasses.replace(volume, array=np.full(shape, 100, np.int16))


def _box(picture: Image.Image) -> tuple[int, int, int, int]:
    """Left, right, top, bottom of the outlines, legend left out."""
    pixels = np.asarray(picture)[:, :-330].astype(int)
    rows, columns = np.nonzero(np.abs(pixels - MAGENTA).sum(axis=2) < 60)
    return columns.min(), columns.max(), rows.min(), rows.max()


def test_the_right_of_the_patient_is_on_the_left_of_the_picture(card):
    labels = np.zeros(SHAPE, np.uint8)
    labels[3, 40:50, 60:70] = 1  # right and anterior in a volume whose indices grow towards R, A
    left, right, top, bottom = _box(montage(_volume(np.eye(3)), labels, card))
    middle = 28 + montage(_volume(np.eye(3)), labels, card).width // 4
    assert right < middle
    assert top - 74 < 574 - bottom


def test_a_square_centimetre_is_square_whatever_the_spacing(card):
    labels = np.zeros(SHAPE, np.uint8)
    labels[3, 20:40, 20:60] = 1  # 20 x 1.5 mm by 40 x 0.75 mm
    left, right, top, bottom = _box(montage(_volume(np.eye(3)), labels, card))
    assert right - left == pytest.approx(bottom - top, rel=0.03)


@pytest.mark.parametrize("flips", [(1, 1, -1), (1, -1, 1), (1, -1, -1)])
def test_the_picture_does_not_depend_on_how_rows_and_columns_are_stored(card, flips):
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:5, 40:50, 60:75] = 1
    volume = _volume(np.eye(3))
    step_k, step_j, step_i = flips
    turn = np.diag([step_i, step_j, step_k, 1.0])
    turn[:3, 3] = [(n - 1) * (step < 0) for n, step in zip(SHAPE[::-1], flips[::-1], strict=True)]
    stored = Volume(
        volume.array[::step_k, ::step_j, ::step_i], volume.ijk_to_ras @ turn, volume.name
    )
    original = montage(volume, labels, card)
    turned = montage(stored, labels[::step_k, ::step_j, ::step_i], card)
    np.testing.assert_array_equal(np.asarray(original), np.asarray(turned))


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_every_geometry_gives_a_picture(card, geometry):
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:4, 10:20, 10:20] = 1
    assert _box(montage(_volume(GEOMETRIES[geometry]), labels, card))


def test_fewer_labelled_slices_make_fewer_cells(card):
    labels = np.zeros((40, 60, 80), np.uint8)
    labels[3:5, 10:20, 10:20] = 1
    two = montage(_volume(np.eye(3), labels.shape), labels, card)
    labels[:, 10:20, 10:20] = 1
    twelve = montage(_volume(np.eye(3), labels.shape), labels, card)
    assert two.width < twelve.width
    assert two.height < twelve.height


def test_an_empty_segmentation_still_shows_the_image(card):
    picture = np.asarray(montage(_volume(np.eye(3)), np.zeros(SHAPE, np.uint8), card))
    assert (picture == 255 * (100 + 160) // 400).all(axis=2).mean() > 0.3


def test_more_structures_than_the_legend_holds_are_no_obstacle():
    card = make_card(tuple(f"structure {n}" for n in range(300)))
    labels = (np.arange(np.prod(SHAPE)).reshape(SHAPE) // 97 % 301).astype(np.uint16)
    assert montage(_volume(np.eye(3)), labels, card, columns=1, rows=1).height > 0


def test_a_table_with_dice_is_shown_and_leaves_the_slices_alone(card):
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:4, 10:20, 10:20] = 1
    volume = _volume(np.eye(3))
    table = [dataclasses.replace(row, dice=0.5) for row in structure_table(labels, volume, card)]
    without, with_dice = montage(volume, labels, card), montage(volume, labels, card, table=table)
    difference = np.asarray(without) != np.asarray(with_dice)
    assert difference.any()
    assert not difference[:, :-330].any()


def test_colours_of_a_photograph_are_kept():
    photo = np.zeros((1, 90, 120, 3), np.uint8) + np.uint8([180, 120, 90])
    labels = np.zeros((1, 90, 120), np.uint8)
    labels[0, 30:60, 40:80] = 1
    picture = montage(Volume(photo, np.diag([-1, -1, 1, 1.0]), "photo"), labels, find("ph2").card)
    assert picture.getpixel((40, 90)) == (180, 120, 90)


def test_the_picture_is_written_whole_and_replaces_only_if_allowed(tmp_path, card):
    labels = np.zeros(SHAPE, np.uint8)
    path = write_montage(tmp_path / "o.png", _volume(np.eye(3)), labels, card)
    with Image.open(path) as picture:
        picture.load()
    with pytest.raises(OutputError, match="exists"):
        write_montage(path, _volume(np.eye(3)), labels, card)
    write_montage(path, _volume(np.eye(3)), labels, card, overwrite=True)
    with pytest.raises(OutputError, match="png"):
        write_montage(tmp_path / "o.jpg", _volume(np.eye(3)), labels, card)
    assert [p.name for p in tmp_path.iterdir()] == ["o.png"]


def test_without_pillow_the_error_says_how_to_install_it(monkeypatch, card):
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(OutputError, match="pip install"):
        montage(_volume(np.eye(3)), np.zeros(SHAPE, np.uint8), card)
