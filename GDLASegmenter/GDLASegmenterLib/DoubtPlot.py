"""The doubt of every slice as a row of bars, which takes the user to the slice he clicks on.

Drawn here and not by a plot view of Slicer's: that takes clicks only within some pixels of a
point, needs OpenGL inside the panel, and adds four nodes to every scene that is saved.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

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

    def _left(self, index: int) -> int:
        return _EDGE + index * self._room // self._shown[1]

    def _paint(self, painter) -> None:
        values, count, protected, current = self._shown
        painter.fillRect(0, 0, self.width, self.height, qt.QColor(*_PAPER))
        if not count:
            return
        bottom = self.height - _LINE - 2
        lowest, highest = min(values.values(), default=0.0), max(values.values(), default=0.0)
        for x, width, slices in self._bars():
            known = [index for index in slices if index in values]
            doubt = max((values[index] for index in known), default=lowest)
            # From the least doubtful one, not from 0: what counts is which slices to look at first.
            above = (doubt - lowest) / (highest - lowest) if highest > lowest else 0.0
            height = _LOWEST + round(above * (bottom - _LINE - _LOWEST)) if known else 0
            isSafe = all(index in protected for index in slices)
            color = _PROTECTED if isSafe else _DOUBTFUL
            painter.fillRect(x, bottom - height, width, height, qt.QColor(*color))
            foot = _PROTECTED if isSafe else _INK if known else _UNKNOWN
            painter.fillRect(x, bottom, width, 2, qt.QColor(*foot))
        if current is not None:
            middle = (
                self._left(current) + max(self._left(current + 1) - 1, self._left(current))
            ) // 2
            painter.fillRect(middle, _LINE - 2, 2, bottom - _LINE + 4, qt.QColor(*_CURRENT))
        self._write(painter, count, current)

    def _bars(self):
        """Yield the left edge, the width and the slices of every bar."""
        count = self._shown[1]
        first = 0
        while first < count:
            last = first
            while last + 1 < count and self._left(last + 1) <= self._left(first):
                last += 1
            x = self._left(first)
            room = self._left(last + 1) - x
            yield x, room - 1 if room > 3 else max(room, 1), range(first, last + 1)
            first = last + 1

    def _write(self, painter, count: int, current: int | None) -> None:
        base = self.height - 4
        painter.setPen(qt.QColor(*_INK))
        painter.drawText(_EDGE, _LINE - 4, _("Doubt of each slice (green: reviewed)"))
        painter.drawText(_EDGE, base, "0")
        end = str(count - 1)
        painter.drawText(
            self.width - _EDGE - self.fontMetrics().boundingRect(end).width(), base, end
        )
