"""A small picture of a study's segmentation, to look at many of them on one page."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from GDLACore.atomic import replacing
from GDLACore.imaging.overlay import check_pillow, evenly_spaced, slice_pictures
from GDLACore.imaging.view import slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard

_SLICES = 4
_AREA = 170 * 130  # pixels of each
_QUALITY = 85


def write_picture(path: Path, volume: Volume, labels: np.ndarray, card: ModelCard) -> None:
    """Write a few slices of ``labels`` [k, j, i] over ``volume``, side by side, as JPEG.

    They lie evenly across what was found. The picture bears no text. Raises OutputError where
    Pillow is missing, or if the file cannot be written.
    """
    check_pillow()
    from PIL import Image

    view = slice_view(volume, card.slice_axis, "identity")
    indices = evenly_spaced(view, labels, volume, _SLICES)
    drawn = slice_pictures(view, volume, labels, card, indices, _AREA)
    width, height = drawn[0].size
    strip = Image.new("RGB", (width * len(drawn), height))
    for number, one in enumerate(drawn):
        strip.paste(one, (number * width, 0))
    data = io.BytesIO()
    strip.save(data, "JPEG", quality=_QUALITY)
    with replacing(path) as part:
        part.write_bytes(data.getvalue())
