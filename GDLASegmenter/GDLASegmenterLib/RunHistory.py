"""What runs changed, so that undoing one is told from correcting what it left."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field

import numpy as np

from GDLASegmenterLib.SliceOrigins import SliceOrigin

_KEPT = 10  # as many as Segment Editor can undo at first

_COMPARED_AT_ONCE = 4  # slices


@dataclass(frozen=True)
class _Slice:
    """What a slice held, and what models had left in it: another thing if it was released.

    ``origin`` is by which model and how, None if nobody knows.
    """

    held: bytes
    left: bytes
    origin: SliceOrigin | None


@dataclass(eq=False)
class _Entry:
    run: object
    before: dict[int, _Slice] = field(default_factory=dict)
    after: dict[int, _Slice] = field(default_factory=dict)  # only of a run that was undone


@dataclass(frozen=True, eq=False)
class Move:
    """Runs undone or done again: what the slices they changed held then.

    ``same`` are those that hold it still; the others were changed since.
    """

    position: int
    slices: dict[int, _Slice]
    same: frozenset[int]


class RunHistory:
    """The slices that the last runs changed, compressed, as they were before.

    The first ``position`` of its runs are done, those after it undone. Slices are those along one
    array axis of one ``grid``, which the owner keeps to. In memory only, like Segment Editor's.
    """

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._position = 0
        self._changes = 0

    @property
    def changes(self) -> int:
        """Another number whenever something was noted, and what models had left changed."""
        return self._changes

    def copy(self) -> RunHistory:
        """Return a history of its own for a copy of what the runs changed."""
        copy = RunHistory()
        copy._entries = [_Entry(one.run, {**one.before}, {**one.after}) for one in self._entries]
        copy._position = self._position
        return copy

    def note(
        self,
        run: object,
        index: int,
        held: np.ndarray,
        left: np.ndarray,
        origin: SliceOrigin | None,
    ) -> None:
        """Remember that ``run`` is about to change slice ``index``, which holds ``held``.

        ``left`` is what models had left in it, and ``origin`` where that was from.
        """
        self._changes += 1
        entry = self._entryOf(run)
        if entry is None:
            entry = _Entry(run)
            self._entries[self._position :] = [entry]
            del self._entries[:-_KEPT]
            self._position = len(self._entries)
        if index not in entry.before:
            entry.before[index] = _Slice(_packed(held), _packed(left), origin)

    def takeBack(self, run: object, index: int, held: np.ndarray, left: np.ndarray) -> None:
        """Forget that ``run`` changed slice ``index``, which holds ``held`` as before.

        Put what models had left in it into ``left``.
        """
        entry = self._entryOf(run)
        before = None if entry is None else entry.before.pop(index, None)
        self._changes += before is not None
        isReleased = before is not None and before.held != before.left
        left[:] = _unpacked(before.left, left) if isReleased else held

    def moved(self, read: Callable[[int], np.ndarray | None]) -> Generator[None, None, Move | None]:
        """Return how far runs were undone or done again, if ``read(index)`` says so.

        Most of the slices that the runs changed must be as they were, or as they had become; the
        others were changed since. None if ``read`` returns None: somebody is at work. Yields after
        some slices each.
        """
        found, most = None, 0
        count = len(self._entries)
        for position in sorted(set(range(count + 1)) - {self._position}, key=self._distance):
            slices = self._slicesAt(position)
            same = yield from _sameIn(slices, read)
            if len(same) > most * len(slices):
                found, most = Move(position, slices, same), len(same) / len(slices)
        return found

    def follow(
        self,
        move: Move,
        places: dict[int, np.ndarray],
        origins: Mapping[int, SliceOrigin],
    ) -> Generator[None, None, dict[int, SliceOrigin | None]]:
        """Put what models had left in the slices of ``move`` into ``places``, their record.

        ``origins`` is where slices are from until then; returns where those that were put back are
        from. Gives up if more is noted meanwhile. Yields after some milliseconds' work each.
        """
        changes = self._changes
        undone = self._entries[move.position : self._position]
        later: dict[int, _Slice] = {}
        for entry in reversed(undone):
            for index in entry.before:
                packed = _packed(places[index])
                now = _Slice(packed, packed, origins.get(index))
                entry.after.setdefault(index, later.get(index) or now)
                yield
            later.update(entry.before)
        found: dict[int, SliceOrigin | None] = {}
        for index, one in move.slices.items():
            if self._changes != changes:
                return found
            places[index][:] = _unpacked(one.left, places[index])
            found[index] = one.origin
            yield
        if self._changes == changes:
            for entry in self._entries[self._position : move.position]:
                entry.after.clear()
            self._position = move.position
            self._changes += 1
        return found

    def _entryOf(self, run: object) -> _Entry | None:
        """Return what is known of ``run`` if it was the last, and not undone meanwhile."""
        last = self._entries[self._position - 1] if self._position else None
        return last if last is not None and last.run is run else None

    def _distance(self, position: int) -> int:
        return abs(position - self._position)

    def _slicesAt(self, position: int) -> dict[int, _Slice]:
        slices: dict[int, _Slice] = {}
        for entry in reversed(self._entries[position : self._position]):
            slices.update(entry.before)
        for entry in self._entries[self._position : position]:
            slices.update(entry.after)
        return slices


def _sameIn(
    slices: dict[int, _Slice], read: Callable[[int], np.ndarray | None]
) -> Generator[None, None, frozenset[int]]:
    """Return which of ``slices`` hold what they held; none if that is less than most of them."""
    same, others = set(), 0
    for number, (index, one) in enumerate(slices.items()):
        if number and number % _COMPARED_AT_ONCE == 0:
            yield
        labels = read(index)
        if labels is None:
            return frozenset()
        if np.array_equal(labels, _unpacked(one.held, labels)):
            same.add(index)
        else:
            others += 1
        if 2 * others >= len(slices):
            return frozenset()
    return frozenset(same)


def _packed(labels: np.ndarray) -> bytes:
    return zlib.compress(labels.tobytes(), 1)


def _unpacked(packed: bytes, like: np.ndarray) -> np.ndarray:
    return np.frombuffer(zlib.decompress(packed), like.dtype).reshape(like.shape)
