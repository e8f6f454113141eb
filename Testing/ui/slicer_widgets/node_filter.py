"""Which nodes of a scene a node selector lists: the rules of qMRMLSortFilterProxyModel."""

from __future__ import annotations

import slicer


class NodeFilter:
    """By class, by attribute, and not those that hide from editors or are named one by one."""

    def __init__(self) -> None:
        self.types: tuple[str, ...] = ()
        self.hidden_types: tuple[str, ...] = ()
        self.show_hidden = False
        self.show_derived = True
        self.hidden_ids: tuple[str, ...] = ()
        self.attributes: dict[str, tuple[str, object]] = {}  # by class: name and value

    def is_of_types(self, node: slicer.vtkMRMLNode) -> bool:
        return not self.types or any(node.IsA(kind) for kind in self.types)

    def accepts(self, node: slicer.vtkMRMLNode) -> bool:
        if node.GetHideFromEditors() and not self.show_hidden:
            return False
        if node.GetID() in self.hidden_ids:
            return False
        return not self.types or any(self._fits(node, kind) for kind in self.types)

    def accepted(self, scene: slicer.vtkMRMLScene | None) -> list[slicer.vtkMRMLNode]:
        """Return the nodes of the scene that are listed, in its order."""
        count = scene.GetNumberOfNodes() if scene is not None else 0
        nodes = (scene.GetNthNode(index) for index in range(count))
        return [node for node in nodes if self.accepts(node)]

    def place_of(self, node: slicer.vtkMRMLNode, scene: slicer.vtkMRMLScene) -> int:
        """Return how many of the nodes that are listed come before ``node``."""
        return [other.GetID() for other in self.accepted(scene)].index(node.GetID())

    def _fits(self, node: slicer.vtkMRMLNode, kind: str) -> bool:
        if not node.IsA(kind) or (not self.show_derived and node.GetClassName() != kind):
            return False
        if self.show_derived and any(node.IsA(hidden) for hidden in self.hidden_types):
            return False
        name, wanted = self.attributes.get(kind, ("", None))
        found = node.GetAttribute(name) if name else ""
        return found is not None and (wanted is None or str(wanted) == found)
