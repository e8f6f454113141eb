"""Qt as a module of 3D Slicer sees it: PySide6's widgets with PythonQt's rules.

Slicer's Python reaches Qt through PythonQt, which differs from PySide6 in almost every line a
module writes: properties are values, signals are named by their C++ signature, surplus arguments of
a signal are dropped, an exception in a handler is printed and forgotten. ``install()`` provides the
modules ``qt`` and ``ctk`` with those rules. Where PythonQt keeps silent about a mistake (a misspelt
signal, an object where a text belongs), this raises; what is not in Qt 5.15 and in Qt 6 alike, or
not in the headers of Slicer and CTK, does not exist.

What the rules are comes from PythonQt's sources; no real PythonQt was ever asked.
"""

from __future__ import annotations

from pythonqt.modules import ctk, install, qt
from pythonqt.problems import Problem, problems

__all__ = ["Problem", "ctk", "install", "problems", "qt"]
