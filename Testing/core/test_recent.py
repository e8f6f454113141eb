from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from GDLACore.training.recent import Recent


def test_what_was_used_longest_ago_goes_first() -> None:
    recent: Recent[str, Path] = Recent(limit=10)
    for name in "abc":
        recent.put(name, Path(name), 3)
    assert recent.get("a") == Path("a")
    recent.put("d", Path("d"), 3)
    assert [recent.get(name) for name in "abcd"] == [Path("a"), None, Path("c"), Path("d")]


def test_one_item_is_held_however_large() -> None:
    recent: Recent[str, int] = Recent(limit=10)
    recent.put("small", 1, 2)
    recent.put("large", 2, 100)
    assert (recent.get("small"), recent.get("large")) == (None, 2)
