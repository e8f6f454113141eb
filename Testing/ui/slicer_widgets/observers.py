"""Observations of MRML nodes by a widget, which end with the widget."""

from __future__ import annotations

from collections.abc import Callable

import vtk
from pythonqt.binding import QObject, QtCore
from pythonqt.problems import reported


class Observers:
    """What one widget observes."""

    def __init__(self, widget: QObject) -> None:
        self._tags: list[tuple[vtk.vtkObject, int]] = []
        QObject.connect(widget, QtCore.SIGNAL("destroyed()"), self.remove)

    def add(self, observed: vtk.vtkObject, event: int, handler: Callable[[], None]) -> None:
        def notice(caller: vtk.vtkObject, name: str) -> None:
            with reported(f"{caller.GetClassName()} {name}"):
                handler()

        self._tags.append((observed, observed.AddObserver(event, notice)))

    def add_for_nodes(self, scene: vtk.vtkObject, event: int, handler: Callable) -> None:
        """Observe an event that carries a node, which the handler gets."""

        # Of other events this would take a text for a node, and crash.
        @vtk.calldata_type(vtk.VTK_OBJECT)
        def notice(caller: vtk.vtkObject, name: str, node: vtk.vtkObject) -> None:
            with reported(f"{caller.GetClassName()} {name}"):
                handler(node)

        self._tags.append((scene, scene.AddObserver(event, notice)))

    def remove(self, observed: vtk.vtkObject | None = None) -> None:
        """End all observations, or those of one node."""
        ended = [(other, tag) for other, tag in self._tags if observed in (None, other)]
        self._tags = [entry for entry in self._tags if entry not in ended]
        for other, tag in ended:
            other.RemoveObserver(tag)
