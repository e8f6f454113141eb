"""Cases for a training set, of a phantom with a name."""

from __future__ import annotations

import dataclasses

import numpy as np
from phantom import GEOMETRIES, make_card, make_labels, make_volume

from GDLACore.training_set import add_case

CARD = make_card()
PATIENT = "0123456789abcdef"


def volume_of(dtype="int16", axes=GEOMETRIES["axial"], channels=()):
    volume = make_volume(axes)
    values = np.random.default_rng(3).normal(0, 700, (*volume.shape, *channels))
    return dataclasses.replace(volume, array=values.astype(dtype), name="Doe^Jane CT 2024-05-06")


def add(folder, volume=None, labels=None, structures=CARD.labels, **changes):
    settings = {"patient": PATIENT, "axis": 0, "reviewed": ((1, 4),)} | changes
    volume = volume or volume_of()
    labels = make_labels() if labels is None else labels
    return add_case(folder, volume, labels, structures, CARD, **settings)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())
