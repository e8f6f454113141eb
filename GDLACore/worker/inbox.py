"""The worker's requests in the order of their arrival, and which are not wanted any more."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from GDLACore.errors import Cancelled

_Item = TypeVar("_Item")


@dataclass(frozen=True, eq=False)
class Task(Generic[_Item]):
    """Something to do."""

    item: _Item
    _inbox: Inbox[_Item]
    _cancels_before: int

    @property
    def cancelled(self) -> bool:
        """Return whether everything has been cancelled since this was asked for."""
        return self._inbox.cancels > self._cancels_before

    def stop_if_cancelled(self) -> None:
        """Raise Cancelled if everything has been cancelled since this was asked for."""
        if self.cancelled:
            raise Cancelled("The segmentation was cancelled.")


class Inbox(Generic[_Item]):
    """A queue that one thread fills and another empties."""

    def __init__(self) -> None:
        self.cancels = 0
        self._tasks: deque[Task[_Item]] = deque()
        self._changed = threading.Condition()
        self.closed = False

    def put(self, item: _Item) -> None:
        with self._changed:
            self._tasks.append(Task(item, self, self.cancels))
            self._changed.notify()

    def cancel(self) -> None:
        """Mark everything as cancelled that was put in before, also what is being done."""
        with self._changed:
            self.cancels += 1

    def close(self) -> None:
        """Cancel everything, and let ``take`` return None from now on."""
        with self._changed:
            self.cancels += 1
            self.closed = True
            self._changed.notify()

    def take(self, patience_s: float) -> Task[_Item] | None:
        """Return the next task; None when none came for ``patience_s`` seconds or none will."""
        with self._changed:
            self._changed.wait_for(lambda: self._tasks or self.closed, patience_s)
            return self._tasks.popleft() if self._tasks and not self.closed else None

    def waiting(self) -> list[_Item]:
        """Return what has not been taken yet."""
        with self._changed:
            return [task.item for task in self._tasks]
