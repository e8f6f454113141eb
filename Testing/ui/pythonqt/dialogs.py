"""Modal dialogs: recorded, and answered by the test instead of a user.

A test says beforehand what the user does: ``answers.append(...)`` for each dialog to come, with a
standard button for a message box, a path for a file dialog ("" for cancel), or a function that gets
the dialog while it is open. Timers go on meanwhile, as they do in Slicer. A dialog that the test
did not expect is closed and reported, and so is one that the answer leaves open.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from pythonqt.binding import QtCore, QtGui, QtWidgets
from pythonqt.classes import overrides, wrapper
from pythonqt.problems import report, reported


@dataclass(frozen=True)
class Shown:
    """A dialog that was shown: its class, its title and its texts."""

    kind: str
    title: str
    text: str = ""
    details: str = ""


Answer = int | str | Callable[[QtWidgets.QDialog], None]
shown: list[Shown] = []
opened: list[str] = []  # what was given to the web browser or the file manager
answers: deque[Answer] = deque()
_doomed: list[QtWidgets.QDialog] = []


def forget() -> None:
    """Start over: nothing shown, nothing expected."""
    shown.clear()
    opened.clear()
    answers.clear()
    _doomed.clear()


def execute(dialog: QtWidgets.QDialog) -> int:
    record = _describe(dialog)
    shown.append(record)
    answer = answers.popleft() if answers else None

    def respond() -> None:
        if answer is None:
            report("unexpected dialog", str(record))
        else:
            with reported(f"answer to {record}"):
                _apply(answer, dialog)
            if QtWidgets.QDialog.isVisible(dialog):
                report("unanswered dialog", str(record))
        if QtWidgets.QDialog.isVisible(dialog):
            QtWidgets.QDialog.done(dialog, 0)

    QtCore.QTimer.singleShot(0, respond)
    return _native(dialog).exec(dialog)


def _native(dialog: QtWidgets.QDialog) -> type:
    return next(base for base in type(dialog).__mro__ if base.__module__.startswith("PySide6"))


def _describe(dialog: QtWidgets.QDialog) -> Shown:
    kind, title = dialog.className(), QtWidgets.QDialog.windowTitle(dialog).strip()
    if not isinstance(dialog, QtWidgets.QMessageBox):
        return Shown(kind, title)
    box = QtWidgets.QMessageBox
    texts = (box.text(dialog), box.informativeText(dialog))
    return Shown(kind, title, "\n".join(filter(None, texts)), box.detailedText(dialog))


def _apply(answer: Answer, dialog: QtWidgets.QDialog) -> None:
    if callable(answer):
        answer(dialog)
    elif isinstance(dialog, QtWidgets.QMessageBox):
        button = QtWidgets.QMessageBox.button(dialog, QtWidgets.QMessageBox.StandardButton(answer))
        if button is None:
            raise ValueError(f"the message box has no button {answer!r}")
        QtWidgets.QAbstractButton.click(button)
    else:
        QtWidgets.QDialog.done(dialog, answer)


def _delete_later(dialog: QtWidgets.QDialog) -> None:
    # Slicer always runs in an event loop, where this waits for its next turn. A test has none, and
    # the dialog would go as soon as exec() starts one.
    if QtCore.QThread.currentThread().loopLevel():
        QtWidgets.QDialog.deleteLater(dialog)
    else:
        _doomed.append(dialog)


def _message(icon: QtWidgets.QMessageBox.Icon) -> staticmethod:
    def show(parent: object, title: str, text: str, *buttons: int) -> int:
        box = wrapper(QtWidgets.QMessageBox)(parent)
        box.windowTitle, box.text, box.icon = title, text, icon
        if buttons:
            box.standardButtons = buttons[0]
        return execute(box)

    return staticmethod(show)


def _path_question(kind: str) -> staticmethod:
    def ask(parent: object = None, title: str = "", *_: object) -> str | tuple[str, ...]:
        """PythonQt returns the path alone, where PySide6 adds the filter."""
        shown.append(record := Shown(kind, title))
        if not answers:
            report("unexpected dialog", str(record))
            return ""
        answer = answers.popleft()
        assert isinstance(answer, (str, tuple)), f"{record} is answered by a path, not {answer!r}"
        return answer

    return staticmethod(ask)


def _open_url(url: QtCore.QUrl) -> bool:
    opened.append(QtCore.QUrl(url).toString())
    return True


class QDesktopServices:
    """Opens nothing: ``opened`` tells what would have been."""

    openUrl = staticmethod(_open_url)


_ICON = QtWidgets.QMessageBox.Icon
overrides |= {
    "QDialog": {"exec": execute, "deleteLater": _delete_later},
    "QMessageBox": {
        "critical": _message(_ICON.Critical),
        "information": _message(_ICON.Information),
        "question": _message(_ICON.Question),
        "warning": _message(_ICON.Warning),
    },
    "QFileDialog": {
        name: _path_question(name)
        for name in (
            "getExistingDirectory",
            "getOpenFileName",
            "getOpenFileNames",
            "getSaveFileName",
        )
    },
}

assert QtGui.QDesktopServices.openUrl, "Qt's name has changed"
