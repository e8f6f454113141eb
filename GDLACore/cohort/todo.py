"""The studies that are still to do, in an order in which a few bad ones do not stop the others."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator

from GDLACore.cohort.plan import Study
from GDLACore.cohort.record import CRASH, DISK_ERROR, StudyRecord

# What is not wrong with the study. If it does not pass, no study can be done.
_EVERYONES = frozenset({DISK_ERROR, CRASH, "ServerError", "DeviceError"})
_MOST_IN_A_ROW = 5


class Todo(Iterator[Study]):
    """Hands out ``studies``: those that failed before come last. ``in_a_row`` fail just now.

    Once several in a row have ended their process, the next ones come from the other end, for what
    lies in one folder may be damaged in one way.
    """

    def __init__(self, studies: Iterable[Study], failed_before: Collection[str]) -> None:
        self.studies = tuple(studies)
        self._fresh = deque(one for one in self.studies if one.name not in failed_before)
        self._failed = deque(one for one in self.studies if one.name in failed_before)
        self._untested = {one.name for one in self._fresh}
        self.in_a_row = 0
        self._suspects: set[str] | None = None

    def __next__(self) -> Study:
        if not self._fresh and not self._failed:
            raise StopIteration
        if not self._fresh:
            return self._failed.popleft()
        return self._fresh.popleft() if self._suspects is None else self._fresh.pop()

    def __length_hint__(self) -> int:
        return len(self._fresh) + len(self._failed)

    def is_hopeless(self, record: StudyRecord) -> bool:
        """Take note of ``record``, and return whether the studies left would fail, too.

        They would after several failures in a row for a reason that is not the studies'. That a
        study ends the process may be its own fault: then one that was handed out after those
        several must have failed, too, of those that had not failed in an earlier run.
        """
        if record.error_kind not in _EVERYONES:
            self.in_a_row, self._suspects = 0, None
            return False
        if record.error_kind == CRASH and record.name not in self._untested:
            return False
        self.in_a_row += 1
        if self.in_a_row < _MOST_IN_A_ROW:
            return False
        if record.error_kind != CRASH:
            return True
        if self._suspects is None:
            self._suspects = self._untested - {one.name for one in self._fresh}
        return record.name not in self._suspects
