"""What the panel does one thing after another, and the state that it shows meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from slicer.i18n import tr as _

from GDLACore.errors import GDLAError
from GDLASegmenterLib.Activities import Activity
from GDLASegmenterLib.PanelState import PanelState

Step = Callable[[], Activity | None]

_BUSY = (PanelState.PREPARING, PanelState.RUNNING, PanelState.CANCELLING)
_log = logging.getLogger(__name__)


class Controller:
    """Carries steps out in turn: each begins when the one before has ended well.

    A step is a function that begins something and returns it. It may raise GDLAError instead, or
    return None if the user does not want to go on.
    ``state``, ``text``, ``fraction`` and ``warnings`` are what there is to show; ``error`` is set
    while ``state`` is FAILED. ``tick`` is called by a timer.
    """

    def __init__(self) -> None:
        self.state = PanelState.IDLE
        self.text = ""
        self.fraction: float | None = None
        self.warnings: list[str] = []
        self.error: GDLAError | None = None
        self._activity: Activity | None = None
        self._steps: list[Step] = []

    @property
    def isBusy(self) -> bool:
        return self.state in _BUSY

    def begin(self, steps: Sequence[Step]) -> None:
        """Begin with the first of ``steps``. Raises ValueError while others are being done."""
        if self.isBusy:
            raise ValueError("Something else is being done.")
        self.text, self.fraction, self.error = "", None, None
        self.warnings = []
        self._steps = list(steps)
        with self._failing():
            self._next()

    def cancel(self) -> None:
        """Ask what is going on to stop; ``state`` tells when it has."""
        if self.isBusy and self.state is not PanelState.CANCELLING:
            self._steps.clear()
            self.state = PanelState.CANCELLING
            if self._activity is not None:
                self._activity.cancel()

    def tick(self) -> None:
        """Look after what is going on."""
        if self._activity is not None:  # None as long as a step asks the user
            with self._failing():
                self._follow(self._activity)

    def forget(self) -> None:
        """Stop what is done with the scene, which is being closed, and show nothing of it."""
        if self._activity is not None and self._activity.endsWithScene:
            self._activity.cancel()
            self._activity, self.state = None, PanelState.IDLE
            self._steps.clear()
        if not self.isBusy:
            self.state, self.text, self.error = PanelState.IDLE, "", None
            self.warnings = []

    def _follow(self, activity: Activity) -> None:
        activity.advance()
        self.text, self.fraction = activity.text, activity.fraction
        self.warnings += [one for one in activity.warnings if one not in self.warnings]
        if self.state is PanelState.PREPARING and activity.fraction is not None:
            self.state = PanelState.RUNNING
        if not activity.isOver:
            return
        self._activity = None
        if activity.error is not None:
            self._fail(activity.error)
        elif activity.isCancelled:
            self.state = PanelState.IDLE
        else:
            self._next()

    def _next(self) -> None:
        if not self._steps:
            self.state = PanelState.DONE
            return
        self.state = PanelState.PREPARING
        activity = self._steps.pop(0)()
        if activity is None:
            self._steps.clear()
            self.state, self.text = PanelState.IDLE, ""
            return
        self._activity = activity
        if self.state is PanelState.CANCELLING:  # while the user was being asked
            activity.cancel()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Let whatever goes wrong end what is being done, instead of leaving it half done."""
        try:
            yield
        except GDLAError as error:
            self._fail(error)
        except Exception as error:
            _log.exception("The panel failed")
            self._fail(
                GDLAError(
                    _("Unexpected {kind}: {error}.").format(kind=type(error).__name__, error=error),
                    _("Report it with the log and the diagnostics."),
                )
            )

    def _fail(self, error: GDLAError) -> None:
        self._steps.clear()
        self._activity = None
        self.error = error
        self.text = _("Failed: {message}").format(message=error.message)
        self.state = PanelState.FAILED
