"""A private folder for the arrays of one client; it vanishes with its owner, however that ends."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

from GDLACore import owned_folder
from GDLACore.errors import WorkerError
from GDLACore.owned_folder import OwnedFolder, is_abandoned

_PREFIX = "GDLA-session-"


class SessionFolder:
    """The folder of one client, made in ``parent`` when it is first asked for.

    May be used from several threads.
    """

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._turn = threading.Lock()
        self._owner: OwnedFolder | None = None
        self._closed = False

    @property
    def path(self) -> Path:
        """Return the folder; the first call makes it and clears those of dead owners away.

        So does one after somebody, such as a cleaner of temporary files, has removed it.

        Raises WorkerError if it cannot be made, or the client was closed.
        """
        with self._turn:
            if self._closed:
                raise WorkerError("The segmentation was closed.")
            if self._owner is not None and not self._owner.path.is_dir():
                self._owner.close()
                self._owner = None
            if self._owner is None:
                clear_abandoned(self._parent)
                try:
                    self._owner = OwnedFolder(self._parent, _PREFIX)
                except OSError as error:
                    raise WorkerError(
                        f"No folder for temporary files can be made in {self._parent}: "
                        f"{error.strerror or error}.",
                        "Free some space there, or choose another folder for temporary files.",
                    ) from error
            return self._owner.path

    def remove(self) -> None:
        """Remove the folder with all that is in it; files still open on Windows stay for later."""
        with self._turn:
            self._closed = True
            if self._owner is not None:
                self._owner.remove()


def clear_abandoned(parent: Path) -> None:
    """Remove the session folders in ``parent`` whose owners are gone, and nothing else."""
    owned_folder.clear_abandoned(parent, _PREFIX)


def clear_when_abandoned(folder: Path, patience_s: float) -> None:
    """Remove ``folder`` if its owner lets go of it within ``patience_s`` seconds.

    A process that is ending closes its pipes a moment before or after its locks.
    """
    if not folder.name.startswith(_PREFIX):
        return
    deadline = time.monotonic() + patience_s
    while folder.exists() and time.monotonic() < deadline:
        if is_abandoned(folder, _PREFIX):
            shutil.rmtree(folder, ignore_errors=True)
            return
        time.sleep(0.02)
