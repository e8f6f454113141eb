"""Finds nodes that are still there although the scene has let them go."""

from __future__ import annotations

import gc

import slicer
import vtk


class NodeWatch:
    """Knows of every node that comes into ``scene`` from now on, without keeping it alive."""

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        self._scene = scene
        self._seen: list[vtk.vtkWeakReference] = []
        scene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, self._on_added)

    def leaked(self) -> list[str]:
        """Return the names of the nodes that exist but are in the scene no more.

        Something holds on to them: a variable of the test, or what is to be found.
        """
        gc.collect()
        nodes = [reference.Get() for reference in self._seen]
        return [
            f"{node.GetClassName()} {node.GetName()}"
            for node in nodes
            if node is not None and not self._scene.IsNodePresent(node)
        ]

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_added(self, scene: object, event: str, node: slicer.vtkMRMLNode) -> None:
        reference = vtk.vtkWeakReference()
        reference.Set(node)
        self._seen.append(reference)
