"""FloatRange: two numbers, the lower never above the upper."""

from __future__ import annotations

from collections.abc import Callable


class FloatRange:
    def __init__(self, minimum: float = 0, maximum: float = 0) -> None:
        self._on_change: Callable[[FloatRange], None] | None = None
        self._set(minimum, maximum)

    def _set(self, minimum: float, maximum: float) -> None:
        if not minimum <= maximum:
            raise ValueError(f"FloatRange must have minimum <= maximum: {minimum} <= {maximum}")
        self._minimum, self._maximum = minimum, maximum
        if self._on_change:
            self._on_change(self)

    def observed(self, on_change: Callable[[FloatRange], None]) -> FloatRange:
        """Let every change of this range be written where it was read."""
        self._on_change = on_change
        return self

    @property
    def minimum(self) -> float:
        return self._minimum

    @minimum.setter
    def minimum(self, value: float) -> None:
        self._set(value, self._maximum)

    @property
    def maximum(self) -> float:
        return self._maximum

    @maximum.setter
    def maximum(self, value: float) -> None:
        self._set(self._minimum, value)

    def setRange(self, minimum: float, maximum: float) -> None:
        self._set(minimum, maximum)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FloatRange) and (self.minimum, self.maximum) == (
            other.minimum,
            other.maximum,
        )

    __hash__ = None  # it can change

    def __repr__(self) -> str:
        return f"FloatRange(minimum={self.minimum}, maximum={self.maximum})"
