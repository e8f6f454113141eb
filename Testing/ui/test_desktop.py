"""The host of modules: what Slicer does with a module from its loading to the end."""

from __future__ import annotations


def test_a_module_is_loaded_shown_and_left_in_slicers_order(desktop, toy):
    panel = desktop.show(toy)
    assert panel.calls == ["setup", "enter"]
    desktop.show("SegmentEditor")
    assert panel.calls == ["setup", "enter", "exit"]
    assert desktop.show(toy) is panel
    assert panel.calls == ["setup", "enter", "exit", "enter"]
