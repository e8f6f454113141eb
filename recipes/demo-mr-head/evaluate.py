"""Check the brain model on slices held out of the head it learnt, and on another person's head.

    python recipes/demo-mr-head/evaluate.py MODEL [PICTURE.png]

The other head comes with the surfaces of its cerebrum, drawn by FreeSurfer: no mask of the whole
brain. So three things are measured. All of the cerebrum should be found. Above the tentorium there
is no other brain: there the mask is compared with the cerebrum, its sulci filled as they are in the
mask the model learnt. And there should be nothing in the neck. Beside the model stands a baseline
that looks at no grey values within the head: the mask of the head that was learnt, stretched to the
outline of this one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scipy import ndimage
from surface import read_surface, within
from vary_head import HELD_OUT

from GDLACore.engine import load_engine
from GDLACore.evaluation import score
from GDLACore.imaging.overlay import montage
from GDLACore.imaging.reading import read_labels, read_volume
from GDLACore.imaging.volume import Volume
from GDLACore.options import SegmentOptions
from GDLACore.pipeline import segment_volume

DATA = Path(__file__).resolve().parent / "data"

# Heights in the other head, mm, read off its middle slice: the cerebellum ends 8 mm below the
# first, and the brain stem becomes the spinal cord above the second.
TENTORIUM, NECK = 0.0, -75.0
SULCI = 5  # mm: twice this is the width of what is filled


def main(model: str, picture: Path | None) -> None:
    """Print the table, and draw the result on the other head."""
    head, learnt = read_volume(DATA / "other-head.nii.gz"), read_volume(DATA / "ch2.nii.gz")
    mask = read_labels(DATA / "ch2-brain.nii.gz", learnt) > 0
    cerebrum = np.zeros(head.shape, bool)
    for side in ("left", "right"):
        cerebrum |= within(*read_surface(DATA / f"other-{side}.gii"), head)
    with load_engine(model, device="cpu") as engine:
        held_out = SegmentOptions(slices=range(*HELD_OUT))
        found = segment_volume(learnt, engine, held_out)[slice(*HELD_OUT)] > 0
        dice = score(found, mask[slice(*HELD_OUT)], learnt.spacing[::-1]).dice
        print(f"Slices {HELD_OUT[0]} to {HELD_OUT[1] - 1} of ch2: Dice {dice:.3f}\n")
        whole = segment_volume(head, engine, SegmentOptions())
        largest = segment_volume(head, engine, SegmentOptions(largest_component=True))
        card = engine.card
    print(f"{'another head':<16}{'cerebrum found':>16}{'Dice above':>12}{'HD95, mm':>10}", end="")
    print(f"{'ASSD, mm':>10}{'brain, mL':>11}{'in the neck, mL':>17}")
    for name, labels in (
        ("position only", _stretched(mask, learnt, head)),
        ("model", whole),
        ("largest part", largest),
    ):
        print(f"{name:<16}" + _measures(labels > 0, cerebrum, head))
    if picture is not None:
        montage(head, largest, card, columns=3, rows=2).save(picture, optimize=True)


def _measures(found: np.ndarray, cerebrum: np.ndarray, head: Volume) -> str:
    heights = _heights(head)
    filled = ndimage.binary_fill_holes(_closed(cerebrum))
    above = heights >= TENTORIUM
    outer = score(found & above, filled & above, head.spacing[::-1])
    ml = head.voxel_volume_ml
    return (
        f"{found[cerebrum].mean():>16.3f}{outer.dice:>12.3f}{outer.hd95:>10.1f}{outer.assd:>10.1f}"
        f"{found.sum() * ml:>11.0f}{(found & (heights < NECK)).sum() * ml:>17.1f}"
    )


def _closed(mask: np.ndarray) -> np.ndarray:
    grown = ndimage.distance_transform_edt(~mask) <= SULCI
    return ndimage.distance_transform_edt(grown) > SULCI


def _stretched(mask: np.ndarray, learnt: Volume, head: Volume) -> np.ndarray:
    """Return the mask that was learnt, moved and scaled to the outline of ``head``."""
    places = np.indices(head.shape)[::-1].reshape(3, -1)
    ras = head.ijk_to_ras[:3, :3] @ places + head.ijk_to_ras[:3, 3:]
    (middle, size), (own_middle, own_size) = _outline(head), _outline(learnt)
    ras = (ras - middle[:, None]) * (own_size / size)[:, None] + own_middle[:, None]
    ijk = np.linalg.inv(learnt.ijk_to_ras) @ np.vstack([ras, np.ones(ras.shape[1])])
    return ndimage.map_coordinates(
        mask.astype(np.uint8), ijk[2::-1].reshape(3, *head.shape), order=0, cval=0
    )


def _outline(head: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle and the size, RAS, mm, of the upper half of a head.

    The size in height is the mean of the other two: a scan ends below where it likes.
    """
    bright = head.array > 0.15 * np.percentile(head.array, 99.5)
    parts, _ = ndimage.label(bright)
    largest = parts == np.argmax(np.bincount(parts.ravel())[1:]) + 1
    kji = np.argwhere(largest)
    ras = kji[:, ::-1] @ head.ijk_to_ras[:3, :3].T + head.ijk_to_ras[:3, 3]
    top = np.percentile(ras[:, 2], 99.95)
    ras = ras[ras[:, 2] > top - 80]
    low, high = np.percentile(ras[:, :2], (0.2, 99.8), axis=0)
    size = np.append(high - low, (high - low).mean())
    return np.append((low + high) / 2, top), size


def _heights(head: Volume) -> np.ndarray:
    """Return how high every voxel lies, RAS, mm: [k, j, i]."""
    k, j, i = np.indices(head.shape, sparse=True)
    turn, shift = head.ijk_to_ras[2, :3], head.ijk_to_ras[2, 3]
    return turn[0] * i + turn[1] * j + turn[2] * k + shift


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else None)
