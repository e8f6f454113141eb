"""The panel's log: what was done, and what the worker says."""

from __future__ import annotations

from GDLASegmenterLib.Controller import Controller
from GDLASegmenterLib.PanelState import PanelState

_OVERLAP = 400  # characters; of a long log the worker keeps the end


class LogPart:
    """Adds a line for each result, warning and error, and those that the worker writes."""

    def __init__(self, ui, worker) -> None:
        self._ui = ui
        self._worker = worker
        self._state = PanelState.IDLE
        self._warnings = 0
        self._workerLog = ""

    def update(self, controller: Controller) -> None:
        for warning in controller.warnings[self._warnings :]:
            self._add(warning)
        self._warnings = len(controller.warnings)
        if controller.state is not self._state:
            self._state = controller.state
            if controller.error is not None:
                self._add(str(controller.error))
            elif not controller.isBusy and controller.text:
                self._add(controller.text)
        self._addWorkerLog()

    def _addWorkerLog(self) -> None:
        log = self._worker.log()
        if log == self._workerLog:
            return
        known = self._workerLog[-_OVERLAP:]
        self._workerLog = log
        new = log[log.rfind(known) + len(known) :] if known and known in log else log
        if new.strip():
            self._add(new.rstrip())

    def _add(self, text: str) -> None:
        self._ui.logText.appendPlainText(text)
