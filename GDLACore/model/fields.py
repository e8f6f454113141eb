"""One JSON object read strictly: fields typed, none left over, errors with the full path."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

from GDLACore.errors import ModelFileError

_Value = TypeVar("_Value")

# Names and meanings end up in NRRD headers, tables and terminal output: one printable line each.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def parse_json(text: str | bytes, source: str) -> Any:
    """Return the JSON value in ``text``; refuse what Python tolerates but JSON or sense forbids.

    Raises ModelFileError, naming ``source``, for text that is not UTF-8 JSON, for NaN and Infinity,
    for a key given twice (the second would silently win) and for nesting that exhausts the stack.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
    except RecursionError:
        reason = "it is nested too deeply"
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError and our own refusals
        reason = str(error)
    raise ModelFileError(f"{source} is not valid JSON: {reason}.", "Restore the original file.")


class FieldError(ModelFileError):
    """A field breaks a rule: ``path`` says which one, ``reason`` which rule."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} {reason}.", "Correct this field or use the original file.")
        self.path = path
        self.reason = reason


def refuse(path: str, reason: str) -> NoReturn:
    """Raise FieldError; ``path`` counts from the object at hand, and ``inside`` completes it."""
    raise FieldError(path, reason)


@contextmanager
def inside(where: str) -> Iterator[None]:
    """Let the FieldErrors of an object say where the object stands: ``models[2].card``."""
    try:
        yield
    except FieldError as error:
        dot = "." if error.path and not where.endswith(" ") else ""
        raise FieldError(f"{where}{dot}{error.path}".strip(), error.reason) from None


class Fields:
    """Reads the fields of one JSON object, keeping count of those nobody asked for.

    Each reader raises FieldError if the field is missing or not of the kind asked for.
    """

    def __init__(self, data: Any) -> None:
        if not isinstance(data, dict):
            refuse("", f"must be an object, not {_shown(data)}")
        self._left: dict[str, Any] = dict(data)

    def any(self, name: str) -> Any:
        if name not in self._left:
            refuse(name, "is missing")
        return self._left.pop(name)

    def text(self, name: str) -> str:
        """Return a single line of printable text, not empty and without outer blanks."""
        return _text(name, self.any(name))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts; each obeys the rule of ``text``."""
        return tuple(_text(f"{name}[{i}]", item) for i, item in enumerate(self._list(name)))

    def matching(self, name: str, pattern: str, meaning: str) -> str:
        """Return text that matches the whole regular expression; ``meaning`` says it in words."""
        value = self.text(name)
        if not re.fullmatch(pattern, value):
            refuse(name, f"must be {meaning}, not {_shown(value)}")
        return value

    def choice(self, name: str, allowed: Iterable[str]) -> str:
        allowed = tuple(allowed)
        value = self.any(name)
        if value not in allowed:
            refuse(name, f"must be one of {', '.join(allowed)}, not {_shown(value)}")
        return str(value)

    def integer(self, name: str, lowest: int, highest: int) -> int:
        """Return a whole number from ``lowest`` to ``highest``, both included."""
        value = self.any(name)
        if not _is_integer(value) or not lowest <= value <= highest:
            refuse(
                name,
                f"must be a whole number from {lowest} to {highest}, not {_shown(value)}",
            )
        return int(value)

    def number(self, name: str) -> float:
        """Return a finite number."""
        value = self.any(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            refuse(name, f"must be a number, not {_shown(value)}")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            refuse(name, f"must be a finite number, not {_shown(value)}")
        return number

    def color(self, name: str) -> tuple[int, int, int]:
        """Return red, green and blue, 0 to 255 each."""
        value = self.any(name)
        if (
            not isinstance(value, list)
            or len(value) != 3
            or not all(_is_integer(part) and 0 <= part <= 255 for part in value)
        ):
            refuse(
                name,
                f"must be three whole numbers from 0 to 255, not {_shown(value)}",
            )
        return value[0], value[1], value[2]

    def object(self, name: str, read: Callable[[Any], _Value]) -> _Value:
        value = self.any(name)
        with inside(name):
            return read(value)

    def objects(self, name: str, read: Callable[[Any], _Value]) -> tuple[_Value, ...]:
        values = []
        for i, item in enumerate(self._list(name)):
            with inside(f"{name}[{i}]"):
                values.append(read(item))
        return tuple(values)

    def optional(self, name: str, read: Callable[[str], _Value]) -> _Value | None:
        """Return ``read(name)``, or None where the field is absent or null."""
        if self._left.get(name) is None:
            self._left.pop(name, None)
            return None
        return read(name)

    def finish(self) -> None:
        """Raise ModelFileError if a field is left that nobody read."""
        if self._left:
            refuse(str(next(iter(self._left))), "is not a known field")

    def _list(self, name: str) -> list[Any]:
        value = self.any(name)
        if not isinstance(value, list):
            refuse(name, f"must be a list, not {_shown(value)}")
        return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or value != value.strip():
        refuse(name, f"must be text without outer blanks, not {_shown(value)}")
    if _UNPRINTABLE.search(value):
        refuse(name, f"must be one line of printable text, not {_shown(value)}")
    return value


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    """Return a value as JSON shows it, short enough for one line."""
    try:
        text = json.dumps(value, default=repr)
    except RecursionError:
        return "something nested very deeply"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique: dict[str, Any] = {}
    for key, value in pairs:
        if key in unique:
            raise ValueError(f"the field {_shown(key)} is given twice")
        unique[key] = value
    return unique


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
