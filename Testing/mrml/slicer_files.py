"""Loading and saving for ``slicer.util``, by file type, through the real logics and storage nodes.

``slicer.app.coreIOManager()`` belongs to Slicer's Qt layer; these are the four of its methods that
``slicer.util.load...()`` and ``save...()`` call, for the file types that are used here. Another
file type is a KeyError.
"""

from __future__ import annotations

from pathlib import Path

import slicer
import vtk

_LABEL_MAP, _SINGLE_FILE = 1, 8  # vtkSlicerVolumesLogic's loading options


class FileManager:
    """``slicer.app.coreIOManager()``; ``modules`` are Slicer's modules by name."""

    def __init__(self, scene: slicer.vtkMRMLScene, modules: dict) -> None:
        self._scene, self._modules = scene, modules
        self._readers = {
            "VolumeFile": self._load_volume,
            "SegmentationFile": self._load_segmentation,
            "ModelFile": self._load_model,
            "TransformFile": self._load_transform,
        }

    def loadNodes(
        self,
        fileType: str,
        properties: dict,
        loadedNodes: vtk.vtkCollection,
        userMessages: slicer.vtkMRMLMessageCollection,
    ) -> bool:
        path = str(properties["fileName"])
        if fileType == "SceneFile":
            return self._load_scene(path, properties.get("clear", False), userMessages)
        node = self._readers[fileType](path, properties)
        if node is None:
            return False
        if "name" in properties:
            node.SetName(properties["name"])
        loadedNodes.AddItem(node)
        return True

    def fileWriterFileType(self, node: slicer.vtkMRMLNode) -> str:
        return node.GetClassName()

    def saveNodes(
        self,
        fileType: str,
        properties: dict,
        userMessages: slicer.vtkMRMLMessageCollection,
    ) -> bool:
        path = str(properties["fileName"])
        if fileType == "SceneFile":
            return self._save_scene(path, userMessages)
        node = self._scene.GetNodeByID(properties["nodeID"])
        if node.GetStorageNode() is None:
            node.AddDefaultStorageNode()
        storage = node.GetStorageNode()
        storage.SetFileName(path)
        if "useCompression" in properties:
            storage.SetUseCompression(properties["useCompression"])
        written = bool(storage.WriteData(node))
        userMessages.AddMessages(storage.GetUserMessages())
        return written

    def _load_volume(self, path: str, properties: dict) -> slicer.vtkMRMLVolumeNode | None:
        options = _LABEL_MAP * properties.get("labelmap", False)
        options |= _SINGLE_FILE * properties.get("singleFile", False)
        return self._logic("Volumes").AddArchetypeVolume(
            path, Path(path).name.split(".")[0], options
        )

    def _load_segmentation(
        self, path: str, properties: dict
    ) -> slicer.vtkMRMLSegmentationNode | None:
        return self._logic("Segmentations").LoadSegmentationFromFile(path)

    def _load_model(self, path: str, properties: dict) -> slicer.vtkMRMLModelNode | None:
        return self._logic("Models").AddModel(path, slicer.vtkMRMLStorageNode.CoordinateSystemLPS)

    def _load_transform(self, path: str, properties: dict) -> slicer.vtkMRMLTransformNode | None:
        return self._logic("Transforms").AddTransform(path, self._scene)

    def _load_scene(
        self, path: str, clear: bool, messages: slicer.vtkMRMLMessageCollection
    ) -> bool:
        if path.endswith(".mrb"):
            return bool(self._scene.ReadFromMRB(path, clear, messages))
        self._scene.SetURL(path)
        return bool(self._scene.Connect() if clear else self._scene.Import())

    def _save_scene(self, path: str, messages: slicer.vtkMRMLMessageCollection) -> bool:
        if path.endswith(".mrb"):
            return bool(self._scene.WriteToMRB(path, None, messages))
        if path.endswith(".mrml"):
            self._scene.SetURL(path)
            return bool(self._scene.Commit())
        return bool(self._scene.SaveSceneToSlicerDataBundleDirectory(path, None, messages))

    def _logic(self, module: str) -> slicer.vtkMRMLAbstractLogic:
        return self._modules[module].logic()
