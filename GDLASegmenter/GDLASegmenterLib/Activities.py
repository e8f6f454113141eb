"""What takes its time, in a form that the panel can show: a line of text and a bar."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from typing import Protocol

from slicer.i18n import tr as _

from GDLACore import installation, storage
from GDLACore.errors import Cancelled, GDLAError
from GDLASegmenterLib.Parameters import Parameters
from GDLASegmenterLib.SegmentationLogic import SegmentationLogic
from GDLASegmenterLib.SegmentationRequest import SegmentationRequest
from GDLASegmenterLib.SegmentationRun import RunState
from GDLASegmenterLib.SequenceRun import browserOf
from GDLASegmenterLib.ViewedSlice import sliceAxis
from GDLASegmenterLib.VolumeGrid import volumeGrid
from GDLASegmenterLib.VolumeInput import readVolume, volumeState

_ETA_AFTER_S = 1.0  # a guess from less is no guess
_GIVEN_S = 0.01
_BUDGET_S = 0.02  # of the 50 ms after which a window feels slow


class Activity(Protocol):
    """Something that goes on in the background and is looked after by ``advance``.

    ``fraction`` (0 to 1) of it is done, None where nobody knows. Once ``isOver``, ``error`` says
    whether it failed and ``isCancelled`` whether it was stopped; ``text`` then tells what came of
    it, in one line. One that ``endsWithScene`` has to be cancelled when the scene is closed.
    """

    endsWithScene: bool
    text: str
    fraction: float | None
    warnings: list[str]
    isOver: bool
    isCancelled: bool
    error: GDLAError | None

    def advance(self) -> None: ...

    def cancel(self) -> None: ...


class TaskActivity:
    """A ``storage.Task``: downloading, importing or looking at something.

    ``title`` says what is going on, ``onFinished`` is given the task's result and returns the line
    that tells of it.
    """

    endsWithScene = False

    def __init__(self, task: storage.Task, title: str, onFinished: Callable[[object], str]) -> None:
        self.text = title
        self.fraction: float | None = None
        self.warnings: list[str] = []
        self.isOver = self.isCancelled = False
        self.error: GDLAError | None = None
        self._task = task
        self._title = title
        self._onFinished = onFinished

    def advance(self) -> None:
        for event in self._task.poll():
            if isinstance(event, storage.Progress):
                self._show(event)
            elif isinstance(event, storage.Finished):
                self.text = self._onFinished(event.result)
            elif isinstance(event, storage.Failed):
                self.error = event.error
            elif isinstance(event, storage.Stopped):
                self.isCancelled, self.text = True, _("Stopped. Nothing was changed.")
        self.isOver = not self._task.active

    def cancel(self) -> None:
        self._task.cancel()

    def _show(self, progress: storage.Progress) -> None:
        if not progress.total:
            self.fraction, self.text = None, self._title
            return
        self.fraction = progress.done / progress.total
        self.text = _("{title} {done} of {total} MB").format(
            title=self._title,
            done=round(progress.done / 1e6, 1),
            total=round(progress.total / 1e6, 1),
        )


class StepsActivity:
    """Something that is done with the scene, in steps of some milliseconds' work each.

    ``onFinished`` is given what ``steps`` return in the end. They raise GDLAError if they fail, and
    Cancelled if there is no reason to go on. Whatever they do when they are closed, they leave
    alone a scene that is being closed.
    """

    endsWithScene = True

    def __init__(
        self, steps: Generator[None, None, object], title: str, onFinished: Callable[[object], None]
    ) -> None:
        self.text = title
        self.fraction: float | None = None
        self.warnings: list[str] = []
        self.isOver = self.isCancelled = False
        self.error: GDLAError | None = None
        self._steps = steps
        self._onFinished = onFinished

    def advance(self) -> None:
        stop = time.perf_counter() + _BUDGET_S
        while not self.isOver and time.perf_counter() < stop:
            try:
                next(self._steps)
            except StopIteration as end:
                self.isOver = True
                self._onFinished(end.value)
            except Cancelled as cancelled:
                self._stop(cancelled.message)
            except Exception:
                self.isOver = True
                raise

    def cancel(self) -> None:
        self._steps.close()
        self._stop(_("Stopped. Nothing was changed."))

    def _stop(self, text: str) -> None:
        self.isOver = self.isCancelled = True
        self.text = text


class InstallationActivity:
    """An installation of the runtime; what pip says goes to ``onLine``."""

    endsWithScene = False

    def __init__(self, begun: installation.Installation, onLine: Callable[[str], None]) -> None:
        self.text = _("Installing…")
        self.fraction: float | None = None
        self.warnings: list[str] = []
        self.isOver = self.isCancelled = False
        self.error: GDLAError | None = None
        self._installation = begun
        self._onLine = onLine

    def advance(self) -> None:
        # Slicer keeps Python's lock while its window waits for the user: without this the
        # installation would get hardly any time.
        threading.Event().wait(_GIVEN_S)
        for event in self._installation.poll():
            if isinstance(event, installation.Line):
                self._onLine(event.text)
            elif isinstance(event, installation.Step):
                self.text = event.text
                self.fraction = event.done / event.total if event.total else None
            elif isinstance(event, installation.Finished):
                self.text = _("Installed {what}.").format(what=event.state.text)
            elif isinstance(event, installation.Failed):
                self.error = event.error
            elif isinstance(event, installation.Stopped):
                self.isCancelled, self.text = True, _("Stopped. Nothing was changed.")
        self.isOver = not self._installation.active

    def cancel(self) -> None:
        self._installation.cancel()


class SegmentationActivity:
    """A run of the logic for what ``request``, made of ``parameters``, asks for.

    ``axis`` is the array axis (0 = k) of ``grid`` across the slices that are computed,
    ``volumeState`` the state of the volume that they are computed from.
    """

    endsWithScene = False  # its logic ends it

    def __init__(
        self, logic: SegmentationLogic, request: SegmentationRequest, parameters: Parameters
    ) -> None:
        self.parameters = parameters
        self._logic = logic
        self._volumeNode = request.volumeNode
        self._volumeName = request.volumeNode.GetName()
        self._loading = _("Loading the checkpoint…")
        if request.model.server is not None:
            self._loading = _("Asking {host} for the checkpoint…").format(
                host=request.model.server.host
            )
        self.axis = sliceAxis(readVolume(request.volumeNode), request.card)
        self.grid = volumeGrid(request.volumeNode)
        self.volumeState = volumeState(request.volumeNode)
        # The choice stays when a volume is chosen that is not in a sequence.
        allFrames = parameters.allFrames and browserOf(request.volumeNode) is not None
        begin = logic.segmentSequence if allFrames else logic.segment
        self.run = begin(request)
        self._begin = time.monotonic()
        self._firstSlices: tuple[float, int] | None = None  # when they came, and how many

    @property
    def warnings(self) -> list[str]:
        return self.run.warnings

    @property
    def error(self) -> GDLAError | None:
        return self.run.error

    @property
    def isOver(self) -> bool:
        return self.run.isOver and not self._logic.isBusy  # else the next run would be refused

    @property
    def isCancelled(self) -> bool:
        return self.run.state is RunState.CANCELLED

    @property
    def fraction(self) -> float | None:
        run = self.run
        return run.done / run.total if run.phase == "segmenting" and run.total else None

    @property
    def text(self) -> str:
        run = self.run
        if run.isOver:
            return self._result()
        if run.phase != "segmenting":
            return {
                "writing": _("Handing {name} over…"),
                "loading": self._loading,
                "cleaning": _("Keeping the largest parts…"),
            }.get(run.phase, _("Starting…")).format(name=self._volumeName)
        text = _("{done} of {total} slices, {device}")
        if left := self._secondsLeft():
            text = _("{done} of {total} slices, {left} left, {device}")
        return text.format(
            done=run.done, total=run.total, left=_inWords(left or 0), device=run.device
        )

    def advance(self) -> None:
        self._logic.update()
        if self._firstSlices is None and self.run.phase == "segmenting":
            self._firstSlices = time.monotonic(), self.run.done

    def cancel(self) -> None:
        self._logic.cancel(keepFinishedSlices=True)

    def _result(self) -> str:
        run = self.run
        if run.state is RunState.DONE:
            return _("{count} structures, {time}, {device}").format(
                count=run.structures,
                time=_inWords(time.monotonic() - self._begin),
                device=run.device,
            )
        if self._volumeNode.GetScene() is None:
            return _("Stopped: {name} is not in the scene any more.").format(name=self._volumeName)
        if run.finishedSlices:
            return _("Stopped after {count} slices, which are kept.").format(
                count=run.finishedSlices
            )
        return _("Stopped. Nothing was changed.")

    def _secondsLeft(self) -> float | None:
        if self._firstSlices is None:
            return None
        since, before = self._firstSlices
        elapsed, done = time.monotonic() - since, self.run.done - before
        if elapsed < _ETA_AFTER_S or done <= 0:
            return None
        return elapsed / done * (self.run.total - self.run.done)


def _inWords(seconds: float) -> str:
    if seconds < 9.95:
        return _("{seconds} s").format(seconds=f"{seconds:.1f}")
    if seconds < 90:
        return _("{seconds} s").format(seconds=round(seconds))
    return _("{minutes} min").format(minutes=round(seconds / 60))
