"""Slice views and 3D views of the scene, drawn offscreen by Slicer's own displayable managers.

What is on a picture is what Slicer would show: the views only give the managers a window. They
need OpenGL without a display: EGL (Debian: libegl1, libegl-mesa0 and libgl1-mesa-dri) or OSMesa.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import vtk_to_numpy

_SLICE_MANAGERS = (
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
)
_3D_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
)


def can_draw() -> bool:
    """Return whether there is a library to draw offscreen with."""
    return _loads("libEGL.so.1") or _loads("libOSMesa.so.8")


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


# Else VTK looks for an X server first, and complains that there is none.
if _loads("libEGL.so.1"):
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")


class _Window:
    """An offscreen window of ``size`` (width, height) whose content displayable managers draw.

    Raises RuntimeError where there is no library to draw with: VTK would crash.
    """

    def __init__(
        self,
        factory: slicer.vtkMRMLDisplayableManagerFactory,
        managers: Sequence[str],
        size: tuple[int, int],
    ) -> None:
        if not can_draw():
            raise RuntimeError("Drawing offscreen needs EGL or OSMesa.")
        self.renderer = vtk.vtkRenderer()
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(True)
        self._window.SetMultiSamples(8)
        self._window.SetSize(*size)
        self._window.AddRenderer(self.renderer)
        self._interactor = vtk.vtkRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        factory.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        for manager in managers:
            if not factory.IsDisplayableManagerRegistered(manager):
                factory.RegisterDisplayableManager(manager)
        self._managers = slicer.vtkMRMLDisplayableManagerGroup()
        self._managers.Initialize(factory, self.renderer)

    def observe(self, node: slicer.vtkMRMLNode) -> None:
        self._managers.SetMRMLDisplayableNode(node)

    def picture(self) -> np.ndarray:
        """Return what the window shows, uint8 [row, column, RGB], the top row first."""
        self._window.Render()
        width, height = self._window.GetSize()
        pixels = vtk.vtkUnsignedCharArray()
        self._window.GetPixelData(0, 0, width - 1, height - 1, 0, pixels, 0)
        return vtk_to_numpy(pixels).reshape(height, width, 3)[::-1].copy()

    def close(self) -> None:
        self.observe(None)
        self._window.Finalize()


class SliceView:
    """One slice of the scene. ``orientation``: "Axial", "Coronal" or "Sagittal"."""

    def __init__(self, orientation: str, size: tuple[int, int] = (300, 300)) -> None:
        application = slicer.app.applicationLogic()
        if application.GetSliceLogics() is None:
            application.SetSliceLogics(vtk.vtkCollection())
        self._window = _Window(
            slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance(), _SLICE_MANAGERS, size
        )
        self._window.renderer.GetActiveCamera().ParallelProjectionOn()
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLApplicationLogic(application)
        self._logic.SetMRMLScene(slicer.mrmlScene)
        self.node = self._logic.AddSliceNode(orientation)
        application.GetSliceLogics().AddItem(self._logic)
        self.node.SetOrientation(orientation)
        self.node.SetDimensions(*size, 1)
        self.node.SetMappedInLayout(1)
        self._add_background()  # before the managers add what is to be blended with it
        self._window.observe(self.node)

    def show(self, volume: slicer.vtkMRMLVolumeNode, place: Sequence[float]) -> None:
        """Show the slice of ``volume`` through ``place`` (RAS, mm), as large as fits."""
        self._logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())
        self._logic.FitSliceToBackground(*self.node.GetDimensions()[:2])
        self.node.JumpSliceByOffsetting(*place)
        # Not before there is a volume: the logic's pipeline ends elsewhere then.
        self._background.GetMapper().SetInputConnection(self._logic.GetImageDataConnection())
        self._background.SetVisibility(True)

    def frame(self, lowest: Sequence[float], highest: Sequence[float]) -> None:
        """Show the box between two points (RAS, mm) in the middle and as large as fits."""
        lowest, highest = np.asarray(lowest), np.asarray(highest)
        to_ras = slicer.util.arrayFromVTKMatrix(self.node.GetSliceToRAS())
        across, up = np.abs(to_ras[:3, :2].T) @ (highest - lowest)
        width, height, _ = self.node.GetDimensions()
        mm_per_pixel = max(across / width, up / height)
        thickness = self.node.GetFieldOfView()[2]
        self.node.SetFieldOfView(mm_per_pixel * width, mm_per_pixel * height, thickness)
        normal = to_ras[:3, 2]
        middle = (lowest + highest) / 2
        self.node.JumpSliceByCentering(*(middle + normal * (to_ras[:3, 3] - middle).dot(normal)))

    def picture(self) -> np.ndarray:
        """Return what is seen, uint8 [row, column, RGB]."""
        return self._window.picture()

    def pixel(self, place: Sequence[float]) -> tuple[int, int]:
        """Return the row and column of the picture where ``place`` (RAS, mm) is seen."""
        to_ras = slicer.util.arrayFromVTKMatrix(self.node.GetXYToRAS())
        x, y, _, _ = np.linalg.inv(to_ras) @ (*place, 1)
        return self.node.GetDimensions()[1] - 1 - round(float(y)), round(float(x))

    def close(self) -> None:
        """Take the view out of the scene."""
        self._window.close()
        slicer.app.applicationLogic().GetSliceLogics().RemoveItem(self._logic)
        composite = self._logic.GetSliceCompositeNode()
        self._logic.SetMRMLScene(None)
        slicer.mrmlScene.RemoveNode(composite)
        slicer.mrmlScene.RemoveNode(self.node)

    def _add_background(self) -> None:
        mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        self._background = vtk.vtkActor2D()
        self._background.SetMapper(mapper)
        self._background.GetProperty().SetDisplayLocationToBackground()
        self._background.SetVisibility(False)
        self._window.renderer.AddViewProp(self._background)


class ThreeDView:
    """The surfaces of the scene."""

    def __init__(self, size: tuple[int, int] = (300, 300)) -> None:
        self._window = _Window(
            slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance(), _3D_MANAGERS, size
        )
        self.node = slicer.vtkMRMLViewNode()
        self.node.SetLayoutName("1")
        self.node = slicer.mrmlScene.AddNode(self.node)
        self.node.SetMappedInLayout(1)
        self.node.SetBoxVisible(False)
        self.node.SetAxisLabelsVisible(False)
        self._window.observe(self.node)

    def look(self, from_direction: Sequence[float], closer: float = 1.0) -> None:
        """Look at everything from ``from_direction`` (RAS), the patient upright."""
        camera = self._window.renderer.GetActiveCamera()
        camera.SetFocalPoint(0, 0, 0)
        camera.SetPosition(*from_direction)
        camera.SetViewUp(0, 0, 1)
        self._window.renderer.ResetCamera()
        camera.Zoom(closer)

    def picture(self) -> np.ndarray:
        """Return what is seen, uint8 [row, column, RGB]."""
        return self._window.picture()

    def close(self) -> None:
        """Take the view out of the scene."""
        camera = slicer.modules.cameras.logic().GetViewActiveCameraNode(self.node)
        self._window.close()
        slicer.mrmlScene.RemoveNode(camera)
        slicer.mrmlScene.RemoveNode(self.node)
