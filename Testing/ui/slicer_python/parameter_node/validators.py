"""What a value must be, whoever sets it. They raise ValueError or TypeError."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any


class Validator(ABC):
    @abstractmethod
    def validate(self, value: Any) -> None:
        """Raise an exception unless the value is good."""


class NotNone(Validator):
    def validate(self, value: Any) -> None:
        if value is None:
            raise ValueError("Value must not be None")


class IsNone(Validator):
    def validate(self, value: Any) -> None:
        if value is not None:
            raise ValueError("Value must be None")


class IsInstance(Validator):
    """None passes: NotNone is there to refuse it."""

    def __init__(self, classtype: type | tuple[type, ...]) -> None:
        self.classtype = classtype

    def validate(self, value: Any) -> None:
        if value is not None and not isinstance(value, self.classtype):
            raise TypeError(f"{value!r} is a {type(value).__name__}, not a {self.classtype}")


class WithinRange(Validator):
    def __init__(self, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value: float) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value} is not within [{self.minimum}, {self.maximum}]")


class Minimum(Validator):
    def __init__(self, minimum: float) -> None:
        self.minimum = minimum

    def validate(self, value: float) -> None:
        if value < self.minimum:
            raise ValueError(f"{value} is less than {self.minimum}")


class Maximum(Validator):
    def __init__(self, maximum: float) -> None:
        self.maximum = maximum

    def validate(self, value: float) -> None:
        if value > self.maximum:
            raise ValueError(f"{value} is more than {self.maximum}")


class Choice(Validator):
    def __init__(self, choices: Collection) -> None:
        self.choices = choices

    def validate(self, value: Any) -> None:
        if value not in self.choices:
            raise ValueError(f"{value!r} is none of {self.choices}")


class Exclude(Validator):
    def __init__(self, excludedValues: Collection) -> None:
        self.excludedValues = excludedValues

    def validate(self, value: Any) -> None:
        if value in self.excludedValues:
            raise ValueError(f"{value!r} is excluded")


class RangeBounds(Validator):
    def __init__(self, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value: Any) -> None:
        # Slicer's own condition: a maximum that is too high passes.
        if value.minimum < self.minimum and value.maximum <= self.maximum:
            raise ValueError(f"{value} is not within [{self.minimum}, {self.maximum}]")


def split(annotations: tuple) -> tuple[list[Validator], tuple]:
    """Return the validators among the annotations, and the rest. A class may be one itself."""
    found = [
        item
        for item in annotations
        if isinstance(item, Validator) or (isinstance(item, type) and issubclass(item, Validator))
    ]
    return found, tuple(item for item in annotations if item not in found)
