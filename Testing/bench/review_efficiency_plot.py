"""The curves of a review as a picture: wrong voxels found against slices reviewed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

_FINER = 3  # drawn so many times too large and reduced: smooth lines
_COLUMNS = 3
_WIDTH, _HEIGHT = 390, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 20, 44, 52
_LEGEND = 44
_PAPER, _INK, _GRID = (255, 255, 255), (40, 44, 52), (226, 229, 234)
_TEXT, _TITLE = 14, 15

Color = tuple[int, int, int]


@dataclass(frozen=True)
class Style:
    """How a curve is drawn: ``dash`` is the length of strokes and gaps, 0 for an unbroken line."""

    color: Color
    width: float
    dash: float = 0


STYLES = {
    "best possible": Style((130, 138, 150), 1.6, 3),
    "by doubt": Style((0, 114, 178), 3.2),
    "as stored": Style((213, 94, 0), 2.2),
    "at random": Style((60, 60, 60), 1.6, 8),
}


@dataclass(frozen=True)
class Panel:
    """The curves of one volume, by the names in ``STYLES``: shares after 0, 1, ... n slices."""

    title: str
    curves: Mapping[str, Sequence[float]]


def drawn(panels: Sequence[Panel]) -> Image.Image:
    """Return the panels, three in a row, with one legend below them."""
    rows = -(-len(panels) // _COLUMNS)
    size = (_COLUMNS * _WIDTH, rows * _HEIGHT + _LEGEND)
    image = Image.new("RGB", tuple(_FINER * side for side in size), _PAPER)
    canvas = _Canvas(ImageDraw.Draw(image))
    for number, panel in enumerate(panels):
        _draw_panel(canvas, panel, _WIDTH * (number % _COLUMNS), _HEIGHT * (number // _COLUMNS))
    _draw_legend(canvas, rows * _HEIGHT + _LEGEND / 2 - 6)
    return image.resize(size, Image.Resampling.LANCZOS)


class _Canvas:
    """Draws in pixels of the finished picture."""

    def __init__(self, draw: ImageDraw.ImageDraw) -> None:
        self._draw = draw

    def line(self, points: Sequence[tuple[float, float]], style: Style) -> None:
        scaled = [(_FINER * x, _FINER * y) for x, y in points]
        width = round(_FINER * style.width)
        if not style.dash:
            self._draw.line(scaled, style.color, width, joint="curve")
            return
        for stroke in _strokes(scaled, _FINER * style.dash):
            self._draw.line(stroke, style.color, width)

    def text(self, x: float, y: float, text: str, anchor: str, size: int = _TEXT) -> None:
        font = ImageFont.load_default(_FINER * size)
        self._draw.text((_FINER * x, _FINER * y), text, _INK, font, anchor=anchor)

    def width(self, text: str) -> float:
        return self._draw.textlength(text, ImageFont.load_default(_FINER * _TEXT)) / _FINER


def _strokes(
    points: Sequence[tuple[float, float]], length: float
) -> list[list[tuple[float, float]]]:
    """Return every other piece of ``length`` along the line through ``points``."""
    strokes: list[list[tuple[float, float]]] = [[points[0]]]
    drawing, left = True, length
    for (x, y), (end_x, end_y) in zip(points, points[1:], strict=False):
        whole = ((end_x - x) ** 2 + (end_y - y) ** 2) ** 0.5
        gone = 0.0
        while whole - gone > left:
            gone += left
            place = (x + (end_x - x) * gone / whole, y + (end_y - y) * gone / whole)
            if drawing:
                strokes[-1].append(place)
            else:
                strokes.append([place])
            drawing, left = not drawing, length
        left -= whole - gone
        if drawing:
            strokes[-1].append((end_x, end_y))
    return [stroke for stroke in strokes if len(stroke) > 1]


def _draw_panel(canvas: _Canvas, panel: Panel, left: float, top: float) -> None:
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    x0, y0 = left + _LEFT, top + _TOP + height
    count = len(next(iter(panel.curves.values()))) - 1
    for percent in range(0, 101, 25):
        y = y0 - height * percent / 100
        canvas.line([(x0, y), (x0 + width, y)], Style(_GRID, 1))
        canvas.text(x0 - 8, y, f"{percent} %", "rm")
    for number in range(0, count + 1, _step(count)):
        x = x0 + width * number / count
        canvas.line([(x, y0), (x, y0 + 5)], Style(_INK, 1))
        canvas.text(x, y0 + 9, str(number), "mt")
    canvas.line([(x0, y0), (x0 + width, y0)], Style(_INK, 1))
    canvas.text(x0 + width / 2, y0 + 28, "slices reviewed", "mt")
    canvas.text(x0, top + 22, panel.title, "lm", _TITLE)
    for name, style in STYLES.items():
        shares = panel.curves[name]
        points = [
            (x0 + width * number / count, y0 - height * share)
            for number, share in enumerate(shares)
        ]
        canvas.line(points, style)


def _step(count: int) -> int:
    """Return the distance of round numbers that divides 0 to ``count`` into ten parts at most."""
    return next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500) if count / step <= 10)


def _draw_legend(canvas: _Canvas, middle: float) -> None:
    stroke, gap = 34, 30
    whole = sum(stroke + 8 + canvas.width(name) + gap for name in STYLES) - gap
    x = (_COLUMNS * _WIDTH - whole) / 2
    for name in ("by doubt", "as stored", "at random", "best possible"):
        canvas.line([(x, middle), (x + stroke, middle)], STYLES[name])
        canvas.text(x + stroke + 8, middle, name, "lm")
        x += stroke + 8 + canvas.width(name) + gap
