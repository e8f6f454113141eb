"""qMRMLNodeComboBox: the nodes of the scene that fit, None, and what one may do with them.

It listens to the scene as Slicer's qMRMLSceneModel does: a node goes when it is about to be
removed, and on closing the scene all go at its end.
"""

from __future__ import annotations

from collections.abc import Callable

import slicer
import vtk
from pythonqt import qt
from pythonqt.binding import QtGui
from pythonqt.declared import Behaviour, behaviour_of, declare

from slicer_widgets.node_filter import NodeFilter
from slicer_widgets.node_rows import NodeRows
from slicer_widgets.observers import Observers
from slicer_widgets.scene_widgets import require
from slicer_widgets.sort_filter_model import SortFilterProxyModel


class NodeComboBox(Behaviour):
    initial = {
        **dict.fromkeys(("showChildNodeTypes", "selectNodeUponCreation"), True),
        **dict.fromkeys(("addEnabled", "removeEnabled"), True),
        "noneDisplay": "None",
        "interactionNodeSingletonTag": "Singleton",
    }

    def start(self) -> None:
        self._scene: slicer.vtkMRMLScene | None = None
        self._observers, self._node_observers = Observers(self.widget), Observers(self.widget)
        self._filter = NodeFilter()
        self._model = SortFilterProxyModel(self.widget)
        behaviour_of(self._model).follow(self._filter, self._refill)
        self._labels: dict[str, str] = {}
        self._base_names: dict[str, str] = {}
        self._menu_actions: list[QtGui.QAction] = []
        self._switching = False
        self._requested = ""
        self._box = qt.QComboBox(self.widget)
        layout = qt.QHBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self.widget.setFocusProxy(self._box)
        self._rows = NodeRows(self._box)
        self._told = ("", "")  # the current node as the last signals told it
        self._box.connect("currentIndexChanged(int)", lambda index: self._current_changed())
        self._box.connect("activated(int)", self._activated)
        self.widget.enabled = False

    # The scene

    def mrmlScene(self) -> slicer.vtkMRMLScene | None:
        return self._scene

    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        require(scene, slicer.vtkMRMLScene, "setMRMLScene")
        if scene is self._scene:
            return
        self._observers.remove()
        self._scene = scene
        self._switching = True
        self._refill()
        self._rows.select(self._requested or self.read_currentNodeID())
        self._switching = False
        self._requested = ""
        if scene is not None:
            self._observe(scene)
        self.widget.enabled = scene is not None
        self._current_changed()

    def _observe(self, scene: slicer.vtkMRMLScene) -> None:
        observers = self._observers
        observers.add_for_nodes(scene, scene.NodeAddedEvent, self._node_added)
        observers.add_for_nodes(
            scene, scene.NodeAboutToBeRemovedEvent, self._node_about_to_be_removed
        )
        observers.add(scene, scene.EndCloseEvent, self._refill)
        observers.add(scene, scene.EndImportEvent, self._refill)

    def _node_added(self, node: slicer.vtkMRMLNode) -> None:
        if self._scene.IsImporting():
            return
        if self._filter.accepts(node):
            self._insert(node)
            self.emit("nodeAdded(vtkMRMLNode*)", node)
        elif self._filter.is_of_types(node):
            self._watch(node)

    def _node_about_to_be_removed(self, node: slicer.vtkMRMLNode) -> None:
        if self._scene.IsClosing():
            return
        self._node_observers.remove(node)
        if self._rows.row_of(node.GetID()) >= 0:
            self.emit("nodeAboutToBeRemoved(vtkMRMLNode*)", node)
            self._rows.remove(node.GetID())

    def _watch(self, node: slicer.vtkMRMLNode) -> None:
        self._node_observers.add(
            node, vtk.vtkCommand.ModifiedEvent, lambda: self._node_modified(node)
        )

    def _node_modified(self, node: slicer.vtkMRMLNode) -> None:
        listed, wanted = self._rows.row_of(node.GetID()) >= 0, self._filter.accepts(node)
        if listed and not wanted:
            self._rows.remove(node.GetID())
        elif wanted and not listed:
            self._insert(node)
        elif listed:
            self._rows.rename(node)
            self._current_changed()

    # The rows

    def _refill(self) -> None:
        current = self._rows.current_id()
        self._node_observers.remove()
        blocked = self._box.blockSignals(True)
        has_none = self.values.get("noneEnabled") and self._scene is not None
        self._rows.clear(self.values["noneDisplay"] if has_none else None)
        for position, node in enumerate(self._filter.accepted(self._scene)):
            self._watch(node)
            self._rows.insert(position, node)
        if self._scene is not None:
            self._rows.append_actions(self._actions())
        self._rows.select(current or self._rows.current_id())
        self._box.blockSignals(blocked)
        self._current_changed()

    def _insert(self, node: slicer.vtkMRMLNode) -> None:
        self._watch(node)
        self._rows.insert(self._filter.place_of(node, self._scene), node)

    def _actions(self) -> list[tuple[str, Callable[[], object]]]:
        types = self._filter.types
        label = self.nodeTypeLabel(types[0] if len(types) == 1 else "")
        actions: list[tuple[str, Callable[[], object]]] = []
        if self.values.get("renameEnabled"):
            actions.append((f"Rename current {label}", lambda: self.widget.renameCurrentNode()))
        if self.values.get("editEnabled"):
            actions.append((f"Edit current {label}", self.editCurrentNode))
        if self.values["addEnabled"]:
            for kind in types:
                text = f"Create new {self.nodeTypeLabel(kind)}"
                actions.append((text, lambda kind=kind: self._create(kind)))
        if self.values["removeEnabled"]:
            actions.append((f"Delete current {label}", self.removeCurrentNode))
        return actions + [(action.text(), action.trigger) for action in self._menu_actions]

    # The current node

    def currentNode(self) -> slicer.vtkMRMLNode | None:
        node_id = self.read_currentNodeID()
        return self._scene.GetNodeByID(node_id) if node_id else None

    def read_currentNodeID(self) -> str:
        return self._rows.current_id()

    def setCurrentNode(self, node: slicer.vtkMRMLNode | str | None) -> None:
        require(node, (slicer.vtkMRMLNode, str), "setCurrentNode")
        self.setCurrentNodeID(node if isinstance(node, str) else node.GetID() if node else "")

    def setCurrentNodeID(self, node_id: str) -> None:
        if self._scene is None:
            self._requested = node_id or ""
        self._rows.select(node_id or "")

    def write_currentNodeID(self, node_id: str) -> None:
        self.setCurrentNodeID(node_id)

    def setCurrentNodeIndex(self, index: int) -> None:
        inside = index < self.nodeCount()
        self._box.currentIndex = self._rows.first + index if inside else -1

    def _current_changed(self) -> None:
        if self._switching:
            return
        node = self.currentNode()
        if node is None and not self._rows.is_nothing_selected():
            # Qt went on to an action when the last node was removed.
            blocked = self._box.blockSignals(True)
            self._rows.select(next(reversed(self._rows.ids()), ""))
            self._box.blockSignals(blocked)
            node = self.currentNode()
        # Slicer listens to the text shown, so that a new name of the node counts as well.
        now = ("", "") if node is None else (node.GetID(), node.GetName())
        if now == self._told:
            return
        self._told = now
        self.emit("currentNodeChanged(vtkMRMLNode*)", node)
        self.emit("currentNodeChanged(bool)", node is not None)
        self.emit("currentNodeIDChanged(QString)", node.GetID() if node is not None else "")

    def _activated(self, row: int) -> None:
        action = self._rows.action_at(row)
        if action is not None:
            action()
            return
        self.emit("nodeActivated(vtkMRMLNode*)", self.currentNode())

    # Nodes by number

    def nodeCount(self) -> int:
        return len(self._rows.ids())

    def nodeFromIndex(self, index: int) -> slicer.vtkMRMLNode | None:
        ids = self._rows.ids()
        return self._scene.GetNodeByID(ids[index]) if 0 <= index < len(ids) else None

    # Properties

    def changed_nodeTypes(self, types: tuple[str, ...]) -> None:
        self._filter.types = self.values["nodeTypes"] = tuple(filter(None, types))
        self._refill()

    def changed_showHidden(self, shown: bool) -> None:
        self._filter.show_hidden = shown
        self._refill()

    def changed_showChildNodeTypes(self, shown: bool) -> None:
        self._filter.show_derived = shown
        self._refill()

    def changed_hideChildNodeTypes(self, types: tuple[str, ...]) -> None:
        self._filter.hidden_types = types
        self._refill()

    def changed_noneEnabled(self, _: bool) -> None:
        self._refill()

    changed_noneDisplay = changed_addEnabled = changed_removeEnabled = changed_noneEnabled
    changed_editEnabled = changed_renameEnabled = changed_noneEnabled

    def read_baseName(self) -> str:
        return self._base_names.get(self._filter.types[0], "") if self._filter.types else ""

    def write_baseName(self, name: str) -> None:
        if not self._filter.types:
            raise RuntimeError("baseName is set before nodeTypes: Slicer ignores it")
        self._base_names |= dict.fromkeys(self.values["nodeTypes"], name)

    def sortFilterProxyModel(self) -> SortFilterProxyModel:
        return self._model

    def addAttribute(self, kind: str, name: str, value: object = None) -> None:
        self._filter.attributes[kind] = (name, value)
        self._refill()

    def removeAttribute(self, kind: str, name: str) -> None:
        self._filter.attributes.pop(kind, None)
        self._refill()

    def setNodeTypeLabel(self, label: str, kind: str) -> None:
        self._labels[kind] = label
        self._refill()

    def nodeTypeLabel(self, kind: str) -> str:
        display_name = self._scene.GetTypeDisplayNameByClassName(kind) if self._scene else ""
        return self._labels.get(kind) or display_name or "node"

    def addMenuAction(self, action: QtGui.QAction) -> None:
        self._menu_actions.append(action)
        self._refill()

    # What the user does to nodes

    def addNode(self, kind: str = "") -> slicer.vtkMRMLNode | None:
        types = self._filter.types
        if (kind := kind or (types[0] if types else "")) not in types:
            return None
        node = self._scene.CreateNodeByClass(kind)
        node.UnRegister(None)
        base = self._base_names.get(kind) or node.GetName() or node.GetDefaultNodeNamePrefix()
        node.SetName(self._scene.GetUniqueNameByString(base))
        for name, value in self._filter.attributes.values():
            node.SetAttribute(name, "" if value is None else str(value))
        node = self._scene.AddNode(node)
        if self.values["selectNodeUponCreation"]:
            self.setCurrentNode(node)
        self.emit("nodeAddedByUser(vtkMRMLNode*)", node)
        return node

    def _create(self, kind: str) -> None:
        node = self.addNode(kind)
        if node is not None:
            self.setCurrentNode(node)
            self.emit("nodeAddedByUserAction(vtkMRMLNode*)", node)

    def removeCurrentNode(self) -> None:
        self._scene.RemoveNode(self.currentNode())

    def editCurrentNode(self) -> None:
        self.emit("nodeAboutToBeEdited(vtkMRMLNode*)", self.currentNode())


declare("qMRMLNodeComboBox", NodeComboBox)
