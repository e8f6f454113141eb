"""What may stand beside a type in ``Annotated``, other than validators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, get_args


class Default:
    """The value a parameter starts with: one for all, or from a function that makes one."""

    def __init__(self, value: Any = None, *, generator: Callable[[], Any] | None = None) -> None:
        self._value, self._generator = value, generator

    @property
    def value(self) -> Any:
        return self._generator() if self._generator else self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Default) and (self._value, self._generator) == (
            other._value,
            other._generator,
        )

    __hash__ = None


@dataclass
class Decimals:
    value: int


@dataclass
class SingleStep:
    value: float


def split(annotated: Any) -> tuple[Any, tuple]:
    """Return a type without its annotations, and these."""
    kind, *annotations, _ = get_args(Annotated[annotated, "a mark of ours"])
    return kind, tuple(annotations)


def first(annotations: tuple, kind: type) -> Any:
    return next((item for item in annotations if isinstance(item, kind)), None)
