"""A picture of a segmentation: slices in radiological display, and what was found in them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from GDLACore.atomic import replacing
from GDLACore.errors import OutputError
from GDLACore.imaging.measure import StructureRow, structure_table
from GDLACore.imaging.slice_picture import brightness, draw_slice
from GDLACore.imaging.view import SliceView, patient_axes, slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.imaging.writing import check_output
from GDLACore.model.card import ModelCard

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

OVERLAY_SUFFIXES = (".png",)

_BACKGROUND, _TEXT, _FAINT = (16, 18, 22), (236, 238, 242), (150, 156, 166)
_CELL_AREA = 330 * 250  # pixels of one slice, whatever its shape
_GAP, _MARGIN, _HEADER, _FOOTER, _LEGEND, _LINE = 6, 28, 74, 40, 300, 28
_IN_PATIENT = ("CT", "MR")  # photographs and ultrasound frames have no place in patient space
_DIRECTIONS = (("R", "L"), ("A", "P"), ("S", "I"))


def write_montage(
    path: str | Path,
    volume: Volume,
    labels: np.ndarray,
    card: ModelCard,
    *,
    table: Sequence[StructureRow] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the picture that ``montage`` makes as a PNG; raise OutputError if that fails."""
    path = Path(path)
    check_output(path, inputs=(), overwrite=overwrite, suffixes=OVERLAY_SUFFIXES)
    data = io.BytesIO()
    montage(volume, labels, card, table=table).save(data, "PNG", optimize=True)
    with replacing(path) as part:
        part.write_bytes(data.getvalue())
    return path


def montage(
    volume: Volume,
    labels: np.ndarray,
    card: ModelCard,
    *,
    columns: int = 4,
    rows: int = 3,
    table: Sequence[StructureRow] | None = None,
) -> Image.Image:
    """Return an RGB picture of up to ``columns`` x ``rows`` slices of ``labels`` [k, j, i].

    The slices lie evenly across the labelled range and are shown as radiologists do (the patient's
    right on the left), in true proportions. The legend lists the structures found, in millilitres,
    with the Dice coefficient where ``table`` has it. Raises OutputError where Pillow is missing.
    """
    check_pillow()
    from PIL import Image, ImageDraw

    table = structure_table(labels, volume, card) if table is None else table
    view = slice_view(volume, card.slice_axis, "identity")
    indices = evenly_spaced(view, labels, volume, columns * rows)
    area = _CELL_AREA * (4 if len(indices) == 1 else 1)
    pictures = slice_pictures(view, volume, labels, card, indices, area)
    layout = _Layout.of(pictures, columns)
    canvas = Image.new("RGB", layout.size, _BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    for number, picture in enumerate(pictures):
        canvas.paste(picture, layout.corner(number))
    if card.modality in _IN_PATIENT:
        _draw_places(draw, layout, volume, view, indices)
    _draw_header(draw, volume, card, view)
    _draw_legend(draw, layout, _legend_rows(table, labels, card), card)
    return canvas


def check_pillow() -> None:
    """Raise OutputError where Pillow, which draws the picture, is not installed."""
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise OutputError(
            "Overlay pictures need Pillow, which is not installed.",
            "Install it with: pip install pillow",
        ) from error


@dataclass(frozen=True)
class _Layout:
    """Where things go, in pixels: cells of one size row by row, and the legend beside them."""

    cell: tuple[int, int]
    columns: int
    rows: int

    @classmethod
    def of(cls, pictures: list[Image.Image], columns: int) -> _Layout:
        columns = min(columns, len(pictures))
        return cls(pictures[0].size, columns, -(-len(pictures) // columns))

    @property
    def size(self) -> tuple[int, int]:
        width, height = self.corner(self.columns * self.rows - 1)
        legend_end = _HEADER + 12 * _LINE  # the legend stays readable beside a single slice
        bottom = max(height + self.cell[1], legend_end)
        return self.legend_left + _LEGEND + _MARGIN, bottom + _FOOTER

    @property
    def legend_left(self) -> int:
        return _MARGIN + self.columns * (self.cell[0] + _GAP) + 22

    def corner(self, number: int) -> tuple[int, int]:
        row, column = divmod(number, self.columns)
        x, y = column * (self.cell[0] + _GAP), row * (self.cell[1] + _GAP)
        return _MARGIN + x, _HEADER + y


def evenly_spaced(view: SliceView, labels: np.ndarray, volume: Volume, most: int) -> list[int]:
    """Return up to ``most`` slice indices across the labelled range, from S, A or R on."""
    across = tuple(axis for axis in range(3) if axis != view.axes[0])
    labelled = np.flatnonzero(labels.any(axis=across))
    first, last = (labelled[0], labelled[-1]) if labelled.size else (0, view.count - 1)
    # The ends of the range hold the last voxels of a structure: half a step inside shows more.
    edges = np.linspace(first, last + 1, min(most, last - first + 1) + 1)
    indices = ((edges[:-1] + edges[1:]) / 2).astype(int).tolist()
    _, signs = patient_axes(volume.ijk_to_ras)
    return indices[::-1] if signs[view.axes[0]] > 0 else indices


def slice_pictures(
    view: SliceView,
    volume: Volume,
    labels: np.ndarray,
    card: ModelCard,
    indices: list[int],
    area: float,
) -> list[Image.Image]:
    """Return the slices ``indices`` with their labels, each of ``area`` pixels, cut to content."""
    pixels = brightness(
        np.stack([view.take(volume.array, [n])[0] for n in indices]), card.intensity
    )
    masks = np.stack([view.take(labels, [n])[0] for n in indices])
    rows, columns = _content(pixels, masks)
    pixels, masks = pixels[:, rows, columns], masks[:, rows, columns]
    spacing = volume.spacing[::-1]
    height = masks.shape[1] * spacing[view.axes[1]]
    width = masks.shape[2] * spacing[view.axes[2]]
    scale = np.sqrt(area / (width * height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    colors = {label.value: label.color for label in card.labels}
    return [draw_slice(p, m, colors, size) for p, m in zip(pixels, masks, strict=True)]


def _content(pixels: np.ndarray, masks: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns with something to see: scanners surround patients with air."""
    if pixels.ndim == 4:  # photographs are framed by whoever took them
        return slice(None), slice(None)
    seen = (pixels > 40).any(axis=0) | masks.any(axis=0)
    bounds = []
    for axis in (1, 0):
        used = np.flatnonzero(seen.any(axis=axis))
        length = seen.shape[1 - axis]
        first, last = (used[0], used[-1]) if used.size else (0, length - 1)
        border = round(0.02 * length)
        bounds.append(slice(max(0, first - border), min(length, last + 1 + border)))
    return bounds[0], bounds[1]


def _position(view: SliceView, volume: Volume, index: int) -> str:
    """Return the stored slice number and where it lies in the patient, as Slicer shows it."""
    ijk = [(size - 1) / 2 for size in volume.shape[::-1]]
    ijk[2 - view.axes[0]] = index
    world, _ = patient_axes(volume.ijk_to_ras)
    axis = world[view.axes[0]]
    millimetres = float((volume.ijk_to_ras @ [*ijk, 1.0])[axis])
    return f"{index}   {_DIRECTIONS[axis][millimetres < 0]} {abs(millimetres):.0f} mm"


def _draw_places(
    draw: ImageDraw.ImageDraw,
    layout: _Layout,
    volume: Volume,
    view: SliceView,
    indices: list[int],
) -> None:
    """Write where each slice lies, and on the first which sides of the patient it shows."""
    for number, index in enumerate(indices):
        x, y = layout.corner(number)
        place = (x + 6, y + layout.cell[1] - 20)
        _write_text(draw, place, _position(view, volume, index), 13, _TEXT, outline=2)
    world, signs = patient_axes(volume.ijk_to_ras)
    grows = signs[view.axes[2]] * (-1 if view.flips[1] else 1)
    right, left = _DIRECTIONS[world[view.axes[2]]][::grows]
    x, y = layout.corner(0)
    middle = y + layout.cell[1] // 2
    _write_text(draw, (x + 6, middle), left, 16, _TEXT, anchor="lm", outline=2)
    _write_text(draw, (x + layout.cell[0] - 6, middle), right, 16, _TEXT, anchor="rm", outline=2)


def _draw_header(
    draw: ImageDraw.ImageDraw, volume: Volume, card: ModelCard, view: SliceView
) -> None:
    _write_text(draw, (_MARGIN, 18), volume.name, 22, _TEXT)
    rows, columns = view.slice_shape
    parts = [card.title, f"{columns} x {rows} pixels"]
    if card.modality in _IN_PATIENT:
        parts.append(f"{view.count} slices")
        parts.append(" x ".join(f"{length:.3g}" for length in volume.spacing) + " mm")
    _write_text(draw, (_MARGIN, 47), "   |   ".join(parts), 14, _FAINT)


@dataclass(frozen=True)
class _LegendRow:
    name: str
    color: tuple[int, int, int]
    amount: str
    dice: str


def _legend_rows(
    table: Sequence[StructureRow], labels: np.ndarray, card: ModelCard
) -> list[_LegendRow]:
    """Return what was found, in millilitres, or in percent of pictures, which have no volume."""
    return [
        _LegendRow(
            name=row.name,
            color=card.labels[row.value - 1].color,
            amount=f"{row.millilitres:.1f}"
            if card.modality in _IN_PATIENT
            else f"{100 * row.voxels / labels.size:.1f}",
            dice="" if row.dice is None else f"{row.dice:.2f}",
        )
        for row in table
        if row.voxels
    ]


def _draw_legend(
    draw: ImageDraw.ImageDraw, layout: _Layout, found: list[_LegendRow], card: ModelCard
) -> None:
    left, right = layout.legend_left, layout.size[0] - _MARGIN
    room = (layout.size[1] - _FOOTER - _HEADER) // _LINE - 1
    shown = found if len(found) <= room else found[: room - 1]
    compared = any(row.dice for row in found)
    middle = right - 62 if compared else right
    unit = "mL" if card.modality in _IN_PATIENT else "% of picture"
    _write_text(draw, (middle, _HEADER), unit, 14, _FAINT, anchor="ra")
    if compared:
        _write_text(draw, (right, _HEADER), "Dice", 14, _FAINT, anchor="ra")
    y = _HEADER + _LINE
    for row in shown:
        draw.rounded_rectangle((left, y + 2, left + 14, y + 16), 3, fill=row.color)
        _write_text(draw, (left + 24, y), row.name, 16, _TEXT)
        _write_text(draw, (middle, y), row.amount, 16, _TEXT, anchor="ra")
        _write_text(draw, (right, y), row.dice, 16, _TEXT, anchor="ra")
        y += _LINE
    if not found:
        _write_text(draw, (left, y), "No structure was found.", 16, _FAINT)
    elif len(shown) < len(found):
        _write_text(draw, (left, y), f"and {len(found) - len(shown)} more", 16, _FAINT)
    note = f"{card.name} {card.version}, not for clinical use"
    _write_text(draw, (right, layout.size[1] - 28), note, 13, _FAINT, anchor="ra")


def _write_text(
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    text: str,
    size: int,
    color: tuple[int, int, int],
    *,
    anchor: str = "la",
    outline: int = 0,
) -> None:
    from PIL import ImageFont

    font = ImageFont.load_default(size)
    draw.text(
        corner, text, color, font, anchor=anchor, stroke_width=outline, stroke_fill=_BACKGROUND
    )
