"""An installation that goes on by itself, and whose events the caller fetches when it likes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty

from GDLACore.errors import Cancelled, GDLAError, InstallationError
from GDLACore.installation.control import Control
from GDLACore.installation.events import Event, Failed, Finished, Stopped
from GDLACore.installation.runtime_state import Ready

_CLOSE_S = 1.5


class Installation:
    """``work`` in a thread, started at once.

    All methods belong to one thread, such as that of a window, and return at once; ``close`` alone
    may wait, for a moment. Should this process end, the installation ends with it.
    """

    def __init__(self, work: Callable[[Control], Ready]) -> None:
        self._work = work
        self._control = Control()
        self._over = False
        self._thread = threading.Thread(target=self._run, name="gdla-installation", daemon=True)
        self._thread.start()

    @property
    def active(self) -> bool:
        """Return whether the last event is still to come."""
        return not self._over

    def poll(self) -> list[Event]:
        """Return what happened since the last call."""
        events: list[Event] = []
        while not self._over:
            try:
                events.append(self._control.events.get_nowait())
            except Empty:
                break
            self._over = isinstance(events[-1], Finished | Failed | Stopped)
        return events

    def cancel(self) -> None:
        """Stop it: Stopped follows as soon as what it had written is gone, or Finished."""
        self._control.cancel()

    def log(self) -> str:
        """Return the last of what pip and the trial said, for those who look into a failure."""
        return self._control.log()

    def close(self) -> None:
        """Stop it if it is not done; no event comes after this."""
        self.cancel()
        self._thread.join(_CLOSE_S)
        self._over = True

    def _run(self) -> None:
        self._control.events.put(self._outcome())

    def _outcome(self) -> Event:
        try:
            return Finished(self._work(self._control))
        except Cancelled:
            return Stopped()
        except GDLAError as error:
            return Failed(error)
        except Exception as error:
            return Failed(
                InstallationError(f"Unexpected {type(error).__name__}: {error}.", "Report it.")
            )
