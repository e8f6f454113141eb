"""The segments of a 3D Slicer segmentation (``.seg.nrrd``): names, codes and voxels of each.

Segments that overlap are stored in several layers, one label map each: with more than one, a layer
is a component of every voxel.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from GDLACore.errors import VolumeError
from GDLACore.imaging.pixels import load, open_header, pixels
from GDLACore.imaging.reading import on_grid
from GDLACore.imaging.volume import Volume, ras_from_sitk

# What Slicer gives a new segment until its user chooses: "tissue", which says nothing.
UNSAID_TYPE = "85756007"


@dataclass(frozen=True)
class Segment:
    """One segment. Codes are those of its terminology, "" where it has none.

    ``layer`` and ``value`` are where its voxels are in the file.
    """

    name: str
    type: str
    modifier: str
    layer: int
    value: int


@dataclass(frozen=True, eq=False)
class SegmentedImage:
    """The segments of a file, and its layers as label maps [k, j, i] on the image's grid."""

    segments: tuple[Segment, ...]
    layers: tuple[np.ndarray, ...]

    def mask(self, segment: Segment) -> np.ndarray:
        """Return bool [k, j, i]: the voxels of ``segment``."""
        return self.layers[segment.layer] == segment.value


def read_segments(path: Path, reference: Volume) -> SegmentedImage:
    """Return the segmentation at ``path`` on the grid of ``reference``; nothing is interpolated.

    Raises VolumeError if the file is missing, damaged, no segmentation of Slicer's, or not on that
    grid.
    """
    if not path.is_file():
        raise VolumeError(f"There is no file {path}.", "Check the path.")
    reader = open_header(path, "NrrdImageIO")
    header = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}
    segments = segments_of(header)
    if not segments:
        raise VolumeError(
            f"{path.name} lists no segments.", "Save it from 3D Slicer as a segmentation."
        )
    matrix = ras_from_sitk(reader)
    array = pixels(load(reader, path))
    layers = array[..., None] if array.ndim == 3 else array
    # 0 is where there is no segment.
    wrong = [s.name for s in segments if not 0 <= s.layer < layers.shape[-1] or s.value < 1]
    if layers.ndim != 4 or wrong:
        raise VolumeError(
            f"{path.name} does not hold the layers, or the label values, that its segments name.",
            "Save it again from 3D Slicer.",
        )
    return SegmentedImage(
        segments,
        tuple(
            on_grid(Volume(layers[..., layer], matrix, path.name), reference, path.name)
            for layer in range(layers.shape[-1])
        ),
    )


def segments_of(header: Mapping[str, str]) -> tuple[Segment, ...]:
    """Return the segments that the fields of a NRRD header list, in their order.

    Files of Slicer 4.10 and older, which name no values, have a layer per segment.
    """
    found = sorted(
        int(match[1]) for key in header if (match := re.fullmatch(r"Segment(\d+)_ID", key))
    )
    segments = []
    for number in found:
        type_, modifier = _codes(header.get(f"Segment{number}_Tags", ""))
        valued = f"Segment{number}_LabelValue" in header
        segments.append(
            Segment(
                name=header.get(f"Segment{number}_Name", ""),
                type=type_,
                modifier=modifier,
                layer=_whole(header.get(f"Segment{number}_Layer"), 0 if valued else number),
                value=_whole(header.get(f"Segment{number}_LabelValue"), 1),
            )
        )
    return tuple(segments)


def _codes(tags: str) -> tuple[str, str]:
    """Return type and modifier from a segment's tags (context~category~type~modifier~…)."""
    for tag in tags.split("|"):
        key, _, terminology = tag.partition(":")
        codes = [part.split("^") for part in terminology.split("~")[2:4]]
        if key == "TerminologyEntry" and [len(code) for code in codes] == [3, 3]:
            type_, modifier = codes[0][1], codes[1][1]
            return ("", "") if type_ == UNSAID_TYPE and not modifier else (type_, modifier)
    return "", ""


def _whole(text: str | None, missing: int) -> int:
    try:
        return missing if text is None else int(text)
    except ValueError:
        return -1  # no layer and no value of any voxel
