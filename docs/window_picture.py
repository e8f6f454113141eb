"""Pictures of a window of 3D Slicer: the module's panel, and Slicer's own views beside it.

The panel is drawn by Qt outside Slicer, with stand-ins for Slicer's widgets; the views are drawn
offscreen by Slicer's own displayable managers. The line below every picture says so. The bars over
the views, and the frames, are ours.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slicer
from PIL import Image, ImageDraw, ImageFont
from slicer_views import SliceView, ThreeDView

SCALE = 1.5  # pixels of the picture for each of the window
_BODY = (375.0, 300.0, 44.0)  # mm along R, A and S: what the slice views show
_GAP, _BAR, _LINE = 3, 17, 20
_DARK, _LIGHT, _PANEL = (44, 44, 48), (205, 205, 210), (239, 239, 239)
_NOTE = "Panel: drawn by Qt outside 3D Slicer. Views: drawn by 3D Slicer's own libraries."

# Name in the layout, color of the bar as in Slicer, width and height. Slicer's layout of four views
# with its borders moved: the sample is a slab.
_SLICES = {
    "Axial": ("R", (243, 74, 51), (590, 590)),
    "Coronal": ("G", (111, 178, 76), (590, 150)),
    "Sagittal": ("Y", (238, 213, 75), (410, 150)),
}
_SURFACES = ("1", (128, 128, 190), (410, 590))


def scaled(*lengths: float) -> tuple[int, ...]:
    return tuple(round(length * SCALE) for length in lengths)


class Views:
    """The four views of the scene. They are there from the beginning, as Slicer's are."""

    def __init__(self) -> None:
        self._slices = {
            name: SliceView(name, scaled(*size)) for name, (_, _, size) in _SLICES.items()
        }
        self._surfaces = ThreeDView(scaled(*_SURFACES[2]))

    def show(
        self, volumeNode: slicer.vtkMRMLVolumeNode, place: np.ndarray, middle: np.ndarray
    ) -> None:
        """Show the slices through ``place``, zoomed to a body around ``middle`` (RAS, mm)."""
        half = np.array(_BODY) / 2
        for view in self._slices.values():
            view.show(volumeNode, place)
            view.frame(middle - half, middle + half)

    def look(self, direction: tuple[float, float, float], closer: float) -> None:
        self._surfaces.look(direction, closer)

    def axial(self) -> Image.Image:
        """Return the axial slice without its bar."""
        return Image.fromarray(self._slices["Axial"].picture())

    def picture(self) -> Image.Image:
        """Return the four views as they lie in the window."""
        axial, coronal, sagittal = (
            _with_bar(letter, color, self._slices[name].picture(), _offset(self._slices[name]))
            for name, (letter, color, _) in _SLICES.items()
        )
        surfaces = _with_bar(_SURFACES[0], _SURFACES[1], self._surfaces.picture())
        gap = round(_GAP * SCALE)
        whole = Image.new(
            "RGB",
            (axial.width + gap + surfaces.width, axial.height + gap + coronal.height),
            _DARK,
        )
        whole.paste(axial, (0, 0))
        whole.paste(surfaces, (axial.width + gap, 0))
        whole.paste(coronal, (0, axial.height + gap))
        whole.paste(sagittal, (axial.width + gap, axial.height + gap))
        return whole


def window(
    panel: Image.Image, views: Image.Image, dialog: Image.Image | None = None
) -> Image.Image:
    """Return panel and views side by side, a dialog before them, and the line that tells of them.

    The panel is cut or filled at its lower end, as Slicer's panel scrolls.
    """
    gap, line = round(_GAP * SCALE), round(_LINE * SCALE)
    image = Image.new("RGB", (panel.width + gap + views.width, views.height + line), _DARK)
    image.paste(_PANEL, (0, 0, panel.width, views.height))
    image.paste(panel.crop((0, 0, panel.width, min(panel.height, views.height))), (0, 0))
    image.paste(views, (panel.width + gap, 0))
    if dialog is not None:
        _paste_in_the_middle(image, dialog)
    _write_note(image, _NOTE)
    return image


def framed(panel: Image.Image) -> Image.Image:
    """Return a panel by itself, with the line that tells of it."""
    line = round(_LINE * SCALE)
    image = Image.new("RGB", (panel.width, panel.height + line), _DARK)
    image.paste(panel, (0, 0))
    _write_note(image, _NOTE.partition(". ")[0] + ".")
    return image


def note(title: str, lines: list[str], width: int) -> Image.Image:
    """Return a panel of text, for what is Slicer's own and cannot be drawn here."""
    image = Image.new("RGB", scaled(width, 40 + 20 * (len(lines) + 1)), _PANEL)
    draw = ImageDraw.Draw(image)
    draw.text(scaled(14, 16), title, (20, 20, 20), _font(15))
    for index, text in enumerate(lines):
        draw.text(scaled(14, 46 + 20 * index), text, (50, 50, 50), _font(12))
    return image


def save(image: Image.Image, path: Path) -> None:
    """Write a PNG of few colors, which is a third of the size and looks the same."""
    palette = _palette(image)
    image.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.name}: {image.width} x {image.height}, {path.stat().st_size / 1000:.0f} kB")


def _palette(image: Image.Image) -> Image.Image:
    """Return 256 colors for ``image``, in which small areas of a color count like large ones."""
    colors, counts = np.unique(np.asarray(image).reshape(-1, 3), axis=0, return_counts=True)
    repeated = np.repeat(colors, 1 + np.sqrt(counts).astype(int), axis=0)
    return Image.fromarray(repeated[None]).quantize(256, Image.Quantize.MEDIANCUT, kmeans=2)


def _write_note(image: Image.Image, text: str) -> None:
    place = image.width - 6 * SCALE, image.height - _LINE * SCALE / 2
    ImageDraw.Draw(image).text(place, text, _LIGHT, _font(11), anchor="rm")


def _offset(view: SliceView) -> str:
    name = {"Axial": "S", "Coronal": "A", "Sagittal": "R"}[view.node.GetOrientation()]
    return f"{name}: {view.node.GetSliceOffset():.1f} mm"


def _with_bar(
    letter: str, color: tuple[int, int, int], picture: np.ndarray, text: str = ""
) -> Image.Image:
    bar = round(_BAR * SCALE)
    height, width = picture.shape[:2]
    image = Image.new("RGB", (width, height + bar), color)
    image.paste(Image.fromarray(picture), (0, bar))
    draw = ImageDraw.Draw(image)
    draw.text((6 * SCALE, bar / 2), letter, (0, 0, 0), _font(12), anchor="lm")
    draw.text((width - 6 * SCALE, bar / 2), text, (0, 0, 0), _font(11), anchor="rm")
    return image


def _paste_in_the_middle(image: Image.Image, dialog: Image.Image) -> None:
    left, top = ((a - b) // 2 for a, b in zip(image.size, dialog.size, strict=True))
    edge = round(2 * SCALE)
    image.paste(
        _DARK, (left - edge, top - edge, left + dialog.width + edge, top + dialog.height + edge)
    )
    image.paste(dialog, (left, top))


def _font(size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(round(size * SCALE))
