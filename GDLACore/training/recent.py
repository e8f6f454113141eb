"""What was used of late, up to an amount of memory."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Item = TypeVar("Item")


class Recent(Generic[Key, Item]):
    """Keeps items of up to ``limit`` bytes together, those used last, and at least one."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: OrderedDict[Key, tuple[Item, int]] = OrderedDict()

    def get(self, key: Key) -> Item | None:
        """Return the item of ``key``, None if it is not held."""
        if key not in self._held:
            return None
        self._held.move_to_end(key)
        return self._held[key][0]

    def put(self, key: Key, item: Item, size: int) -> None:
        """Hold ``item`` of ``size`` bytes, and let others go for it."""
        self._held[key] = (item, size)
        while sum(size for _, size in self._held.values()) > self._limit and len(self._held) > 1:
            self._held.popitem(last=False)
