"""Draw the icon of the extension and of its modules: an axial slice with three organs outlined.

    python docs/draw_icon.py

Drawn eight times too large and reduced, so that every edge is smooth.
"""

from __future__ import annotations

import math
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

ROOT = Path(__file__).resolve().parent.parent
MODULES = ("GDLASegmenter", "SegmentEditorGDLA")
ICONS = (
    ROOT / "GDLA.png",
    *(ROOT / name / "Resources" / "Icons" / f"{name}.png" for name in MODULES),
)

SIZE = 128
SCALE = 8

TOP, BOTTOM = (22, 46, 74), (9, 20, 36)
FAT, WALL, CAVITY, BONE = (196, 205, 214), (104, 118, 134), (58, 70, 86), (236, 238, 240)
LIVER, SPLEEN, AORTA = (76, 201, 144), (255, 181, 71), (255, 107, 107)

Color = tuple[int, int, int]
Point = tuple[float, float]


def scaled(points: list[Point]) -> list[Point]:
    return [(x * SCALE, y * SCALE) for x, y in points]


def blob(center: Point, radii: list[float], squash: float = 1.0) -> list[Point]:
    """Return a smooth closed outline whose radius follows ``radii`` around the clock."""
    n = len(radii)
    outline = []
    for step in range(360):
        position = step / 360 * n
        low, part = int(position), position - int(position)
        ease = (1 - math.cos(math.pi * part)) / 2
        radius = radii[low % n] * (1 - ease) + radii[(low + 1) % n] * ease
        angle = 2 * math.pi * step / 360
        outline.append(
            (center[0] + radius * math.cos(angle), center[1] + radius * squash * math.sin(angle))
        )
    return outline


def background() -> Image.Image:
    """Return the rounded square with its vertical gradient."""
    side = SIZE * SCALE
    column = Image.new("RGB", (1, side))
    for y in range(side):
        part = y / side
        column.putpixel(
            (0, y), tuple(round(a + (b - a) * part) for a, b in zip(TOP, BOTTOM, strict=True))
        )
    mask = Image.new("L", (side, side), 0)
    ImageDraw.Draw(mask).rounded_rectangle(
        (2 * SCALE, 2 * SCALE, side - 2 * SCALE, side - 2 * SCALE), radius=24 * SCALE, fill=255
    )
    picture = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    picture.paste(column.resize((side, side)), (0, 0), mask)
    return picture


def fill(picture: Image.Image, outline: list[Point], color: Color) -> None:
    ImageDraw.Draw(picture).polygon(scaled(outline), fill=color)


def segment(picture: Image.Image, outline: list[Point], color: Color) -> None:
    """Paint an organ as a segmentation looks: a translucent body, a bright border, a glow."""
    points = scaled(outline)
    closed = [*points, points[0], points[1]]
    glow = Image.new("RGBA", picture.size, (*color, 0))
    ImageDraw.Draw(glow).line(closed, fill=(*color, 190), width=5 * SCALE, joint="curve")
    picture.alpha_composite(glow.filter(ImageFilter.GaussianBlur(2.2 * SCALE)))
    body = Image.new("RGBA", picture.size, (*color, 0))
    draw = ImageDraw.Draw(body)
    draw.polygon(points, fill=(*color, 165))
    draw.line(closed, fill=(*color, 255), width=round(2.6 * SCALE), joint="curve")
    picture.alpha_composite(body)


def icon() -> Image.Image:
    picture = background()
    middle = (64.0, 65.0)
    fill(picture, blob(middle, [52, 51, 50, 50, 52, 50, 50, 51], 0.74), FAT)
    fill(picture, blob(middle, [48, 47, 46, 46, 48, 46, 46, 47], 0.73), WALL)
    fill(picture, blob((64, 63), [43, 41, 39, 41, 43, 41, 40, 41], 0.70), CAVITY)
    fill(picture, blob((64, 88), [9, 8, 7, 8, 9, 8, 9, 8], 0.9), BONE)
    segment(picture, blob((44, 61), [17, 14, 20, 24, 18, 23, 23, 21], 0.88), LIVER)
    segment(picture, blob((93, 68), [9, 10, 15, 12, 8, 8, 14, 11], 1.0), SPLEEN)
    segment(picture, blob((71, 74), [5.5] * 8), AORTA)
    return picture.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    for path in ICONS:
        icon().save(path, optimize=True)
