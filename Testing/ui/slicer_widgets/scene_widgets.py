"""Widgets that know the scene and tell others of it."""

from __future__ import annotations

import slicer
from pythonqt.declared import Behaviour, declare


def require(value: object, kind: type, method: str) -> None:
    """Raise ValueError as PythonQt does when a method is called with something else."""
    if value is not None and not isinstance(value, kind):
        raise ValueError(f"Could not find matching overload for {method}({value!r})")


class SceneWidget(Behaviour):
    scene: slicer.vtkMRMLScene | None = None

    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        require(scene, slicer.vtkMRMLScene, "setMRMLScene")
        if scene is not self.scene:
            self.scene = scene
            self.emit("mrmlSceneChanged(vtkMRMLScene*)", scene)


class MRMLWidget(SceneWidget):
    def mrmlScene(self) -> slicer.vtkMRMLScene | None:
        return self.scene


declare("qMRMLWidget", MRMLWidget)
declare("qSlicerWidget", SceneWidget)
