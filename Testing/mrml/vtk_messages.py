"""What VTK and Slicer's C++ code complain about, as text instead of lines on stderr."""

from __future__ import annotations

import vtk


def collect_messages() -> list[str]:
    """Return a list that every later error and warning of this process is appended to.

    They are no longer printed.
    """
    messages: list[str] = []

    @vtk.calldata_type(vtk.VTK_STRING)
    def append(window: object, event: str, text: str) -> None:
        messages.append(text.strip())

    window = vtk.vtkOutputWindow.GetInstance()
    window.AddObserver("ErrorEvent", append)
    window.AddObserver("WarningEvent", append)
    vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_OFF)
    return messages
