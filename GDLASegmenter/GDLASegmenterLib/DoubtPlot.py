"""The doubt of every slice as a row of bars, which takes the user to the slice he clicks on.

Drawn here and not by a plot view of Slicer's: that takes clicks only within some pixels of a
point, needs OpenGL inside the panel, and adds four nodes to every scene that is saved.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import qt
from slicer.i18n import tr as _

_HEIGHT = 84  # pixels
_EDGE, _LINE = 4, 16  # pixels: around the bars, and for a line of text
_LOWEST = 3  # pixels: the bar of the least doubtful slice
_PAPER, _INK = (252, 252, 250), (70, 70, 76)
_UNKNOWN, _DOUBTFUL, _PROTECTED = (228, 228, 228), (222, 120, 40), (86, 150, 104)
_CURRENT = (30, 90, 190)


class DoubtPlot(qt.QWidget):
    """Shows ``count`` slices from left to right; ``onClick`` is given the one clicked on.

    Slices share a bar where there are more of them than pixels: it is as high as the worst.
    """

    def __init__(self, onClick: Callable[[int], None]) -> None:
        qt.QWidget.__init__(self)
        self._onClick = onClick
        self._shown: tuple[Mapping[int, float], int, Collection[int], int | None]
        self._shown = {}, 0, frozenset(), None
        self.setMinimumHeight(_HEIGHT)
        self.setMaximumHeight(_HEIGHT)

    def showDoubt(
        self,
        values: Mapping[int, float],
        count: int,
        protected: Collection[int],
        current: int | None,
    ) -> None:
        """Show the doubt ``values`` of ``count`` slices, which are protected, and the viewed one.

        ``current``: None if no slice is looked at.
        """
        shown = values, count, protected, current
        if shown != self._shown:
            self._shown = shown
            self.update()

    def sliceAt(self, x: int) -> int | None:
        """Return the slice at the pixel column ``x``, None if there are no slices."""
        count = self._shown[1]
        if not count:
            return None
        return min(max((x - _EDGE) * count // self._room, 0), count - 1)

    def mousePressEvent(self, event) -> None:
        index = self.sliceAt(event.pos().x())
        if index is not None and self.enabled:
            self._onClick(index)

    def paintEvent(self, event) -> None:
        painter = qt.QPainter(self)
        try:
            self._paint(painter)
        finally:
            painter.end()  # one that lives on after the event makes Qt crash

    @property
    def _room(self) -> int:
        return max(self.width - 2 * _EDGE, 1)

    def _paint(self, painter) -> None:
        values, count, protected, current = self._shown
        width, height = self.width, self.height  # asked of Qt once, not for every slice
        painter.fillRect(0, 0, width, height, qt.QColor(*_PAPER))
        if not count:
            return
        safe, doubtful, ink, unknown, here = (
            qt.QColor(*one) for one in (_PROTECTED, _DOUBTFUL, _INK, _UNKNOWN, _CURRENT)
        )
        room = self._room
        left = [_EDGE + index * room // count for index in range(count + 1)]
        bottom = height - _LINE - 2
        lowest, highest = min(values.values(), default=0.0), max(values.values(), default=0.0)
        for x, across, slices in _bars(left):
            known = [index for index in slices if index in values]
            doubt = max((values[index] for index in known), default=lowest)
            # From the least doubtful one, not from 0: what counts is which slices to look at first.
            above = (doubt - lowest) / (highest - lowest) if highest > lowest else 0.0
            tall = _LOWEST + round(above * (bottom - _LINE - _LOWEST)) if known else 0
            isSafe = all(index in protected for index in slices)
            if tall:
                painter.fillRect(x, bottom - tall, across, tall, safe if isSafe else doubtful)
            painter.fillRect(x, bottom, across, 2, safe if isSafe else ink if known else unknown)
        if current is not None:
            middle = (left[current] + max(left[current + 1] - 1, left[current])) // 2
            painter.fillRect(middle, _LINE - 2, 2, bottom - _LINE + 4, here)
        self._write(painter, count)

    def _write(self, painter, count: int) -> None:
        base = self.height - 4
        painter.setPen(qt.QColor(*_INK))
        painter.drawText(_EDGE, _LINE - 4, _("Doubt of each slice (green: reviewed)"))
        painter.drawText(_EDGE, base, "0")
        end = str(count - 1)
        painter.drawText(
            self.width - _EDGE - self.fontMetrics().boundingRect(end).width(), base, end
        )


def _bars(left: Sequence[int]) -> Iterator[tuple[int, int, range]]:
    """Yield the left edge, the width and the slices of every bar.

    ``left`` are the left edges of the slices, in pixels, and where the last one ends.
    """
    first, count = 0, len(left) - 1
    while first < count:
        last = first
        while last + 1 < count and left[last + 1] <= left[first]:
            last += 1
        room = left[last + 1] - left[first]
        yield left[first], room - 1 if room > 3 else max(room, 1), range(first, last + 1)
        first = last + 1
