"""qMRMLSortFilterProxyModel: what a node selector lists, as far as it is told through the model."""

from __future__ import annotations

from collections.abc import Callable

from pythonqt.declared import Behaviour, declare

from slicer_widgets.node_filter import NodeFilter


class SortFilterModel(Behaviour):
    def follow(self, node_filter: NodeFilter, refill: Callable[[], None]) -> None:
        """Change ``node_filter`` from now on, and have the selector filled anew."""
        self._filter, self._refill = node_filter, refill

    def changed_hiddenNodeIDs(self, ids: tuple[str, ...]) -> None:
        self._filter.hidden_ids = ids
        self._refill()


SortFilterProxyModel = declare("qMRMLSortFilterProxyModel", SortFilterModel)
