"""A picture of a segmentation in Slicer's own views: three slices and the surfaces.

    python Testing/bench/views.py                     # docs/slicer-views.png
    python Testing/bench/views.py -o picture.png --model demo-ct --dicom folder

Everything a user would wait for is real: Slicer's reader, the worker process, the segmentation
node, and Slicer's displayable managers, which draw offscreen. Only the windows' frames are not.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing/mrml"), str(ROOT / "GDLASegmenter")]

import slicer_application  # noqa: E402

slicer_application.start()

import numpy as np  # noqa: E402
import slicer  # noqa: E402
import slicer.util  # noqa: E402
from nodes import show_surfaces  # noqa: E402
from PIL import Image, ImageDraw, ImageFont  # noqa: E402
from slicer_views import SliceView, ThreeDView  # noqa: E402
from world import segment_positions  # noqa: E402

from GDLACore.model.card import Label, ModelCard  # noqa: E402
from GDLACore.model.catalogue import find  # noqa: E402
from GDLACore.resources import resource_path  # noqa: E402
from GDLACore.worker import ModelRequest, WorkerClient  # noqa: E402
from GDLASegmenterLib.SegmentationLogic import SegmentationLogic  # noqa: E402
from GDLASegmenterLib.SegmentationRequest import SegmentationRequest  # noqa: E402

_WINDOW, _LEVEL = 400, 40  # HU, for soft tissue
_MARGIN = (45.0, 45.0, 0.0)  # mm along R, A and S: ribs and skin
_GAP, _BAR, _LEGEND, _SMALL, _LARGE = 6, 22, 34, 15, 17
_BACKGROUND, _TEXT = (24, 26, 30), (236, 238, 242)
_NORMALS = {"Axial": 2, "Coronal": 1, "Sagittal": 0}  # patient axis R, A or S

# Slicer's colors of its three slice views, and sizes that suit a slab of a body.
_VIEWS = {
    "Axial": ((243, 74, 51), (760, 640)),
    "Coronal": ((111, 178, 76), (620, 110)),
    "Sagittal": ((238, 213, 75), (620, 110)),
}
_SURFACES = (620, 640 - 2 * (110 + _BAR + _GAP))


def main() -> None:
    arguments = _arguments()
    volume = slicer.util.loadVolume(str(min(Path(arguments.dicom).iterdir())))
    volume.GetDisplayNode().SetAutoWindowLevel(False)
    volume.GetDisplayNode().SetWindowLevel(_WINDOW, _LEVEL)
    card = find(arguments.model).card
    node = segment(volume, arguments.model, card)
    show_surfaces(node)
    structures = positions(node)
    box = around(structures)
    pictures = {
        name: slice_picture(name, size, volume, fullest(structures, _NORMALS[name]), box)
        for name, (_, size) in _VIEWS.items()
    }
    shown = [label for label in card.labels if label.name in structures]
    compose(pictures, surfaces_picture(), shown).save(arguments.output, optimize=True)
    print(arguments.output)


def segment(
    volume: slicer.vtkMRMLScalarVolumeNode, model: str, card: ModelCard
) -> slicer.vtkMRMLSegmentationNode:
    """Segment as the module does, and wait for it."""
    logic = SegmentationLogic(WorkerClient(), slicer.mrmlScene)
    run = logic.segment(SegmentationRequest(volume, ModelRequest(model), card))
    while not run.isOver:
        time.sleep(0.02)
        logic.update()
    logic.cleanup()
    if run.error is not None:
        raise run.error
    return run.segmentationNode


def positions(node: slicer.vtkMRMLSegmentationNode) -> dict[str, np.ndarray]:
    """Return where (RAS, mm) the voxels [n, 3] of each structure are that was found, by name."""
    segmentation = node.GetSegmentation()
    found = {
        segmentation.GetSegment(one).GetName(): segment_positions(node, one)
        for one in segmentation.GetSegmentIDs()
    }
    return {name: points for name, points in found.items() if len(points)}


def fullest(structures: dict[str, np.ndarray], normal: int) -> np.ndarray:
    """Return a point (RAS, mm) of the plane across patient axis ``normal`` that shows most.

    A structure counts with the part of it that lies within 2 mm of the plane.
    """
    everything = np.concatenate(list(structures.values()))
    lowest, highest = everything[:, normal].min(), everything[:, normal].max()
    offsets = np.arange(lowest + 2, highest - 1, 2.0)
    shares = [
        [np.mean(np.abs(points[:, normal] - offset) < 2) for points in structures.values()]
        for offset in offsets
    ]
    place = everything.mean(axis=0)
    place[normal] = offsets[np.argmax(np.sqrt(shares).sum(axis=1))]
    return place


def around(structures: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return two corners (RAS, mm) of a box around the structures, but for bones of the arms."""
    everything = np.concatenate(list(structures.values()))
    lowest, highest = np.percentile(everything, (3, 97), axis=0)
    return lowest - _MARGIN, highest + _MARGIN


def slice_picture(
    orientation: str,
    size: tuple[int, int],
    volume: slicer.vtkMRMLScalarVolumeNode,
    place: np.ndarray,
    box: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Return the slice through ``place``, with the box filling the view."""
    view = SliceView(orientation, size)
    view.show(volume, place)
    view.frame(*box)
    picture = view.picture()
    view.close()
    return picture


def surfaces_picture() -> np.ndarray:
    view = ThreeDView(_SURFACES)
    view.look((-0.3, 1.0, 0.9), closer=2.2)
    picture = view.picture()
    view.close()
    return picture


def compose(
    pictures: dict[str, np.ndarray], surfaces: np.ndarray, labels: list[Label]
) -> Image.Image:
    """Put the views together as Slicer's window has them, with the structures' names below."""
    left = _titled("Axial", pictures["Axial"])
    right = [_titled(name, pictures[name]) for name in ("Coronal", "Sagittal")]
    right.insert(0, _with_bar("3D", (128, 128, 190), surfaces))
    width = left.width + _GAP + right[0].width
    height = max(left.height, sum(one.height + _GAP for one in right) - _GAP)
    whole = Image.new("RGB", (width, height + _LEGEND), _BACKGROUND)
    whole.paste(left, (0, 0))
    top = 0
    for picture in right:
        whole.paste(picture, (left.width + _GAP, top))
        top += picture.height + _GAP
    _draw_legend(whole, labels, height)
    return whole


def _titled(name: str, picture: np.ndarray) -> Image.Image:
    return _with_bar(name, _VIEWS[name][0], picture)


def _with_bar(name: str, color: tuple[int, int, int], picture: np.ndarray) -> Image.Image:
    height, width = picture.shape[:2]
    image = Image.new("RGB", (width, height + _BAR), color)
    image.paste(Image.fromarray(picture), (0, _BAR))
    ImageDraw.Draw(image).text((8, _BAR / 2), name, (0, 0, 0), _font(_SMALL), anchor="lm")
    return image


def _draw_legend(image: Image.Image, labels: list[Label], top: int) -> None:
    draw, middle, x = ImageDraw.Draw(image), top + _LEGEND / 2, 10.0
    for label in labels:
        draw.rectangle((x, middle - 7, x + 14, middle + 7), label.color)
        draw.text((x + 21, middle), label.name, _TEXT, _font(_LARGE), anchor="lm")
        x += 21 + draw.textlength(label.name, _font(_LARGE)) + 22


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", default=ROOT / "docs/slicer-views.png", type=Path)
    parser.add_argument("--model", default="demo-ct", help="a name of the catalogue")
    parser.add_argument("--dicom", default=resource_path("samples", "ct-abdomen-dicom"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
