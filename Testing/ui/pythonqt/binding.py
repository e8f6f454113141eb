"""PySide6, imported so that its enumerations are numbers, as PythonQt's are."""

from __future__ import annotations

import ctypes
import os
import sys

if sys.version_info < (3, 12):
    # PySide6 6.12 takes None to be immortal, which it became with Python 3.12: every call that
    # returns None takes one from its references, and at none of them the process ends.
    ctypes.c_ssize_t.from_address(id(None)).value += 1 << 48

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
# A fixed scale and font: the pictures and sizes shall not depend on who runs the tests.
os.environ.setdefault("QT_SCALE_FACTOR", "1")
sys.pyside6_option_python_enum = 0x02  # every Enum is an IntEnum, every Flag an IntFlag

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets  # noqa: E402

QObject = QtCore.QObject

assert QtWidgets.QMessageBox.Ok == 0x400, "PySide6 was imported before, with other enumerations"

__all__ = ["QObject", "QtCore", "QtGui", "QtUiTools", "QtWidgets"]
