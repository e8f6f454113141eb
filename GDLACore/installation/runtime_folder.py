"""Where ONNX Runtime is installed for the worker alone: never among the packages of Slicer.

So those cannot be changed by it, nor it by other extensions; nothing has to be restarted; and to
remove it is to delete a folder. Nobody but the worker has it on its search path.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from GDLACore.installation.background import Installation
from GDLACore.installation.build_folders import BuildFolders
from GDLACore.installation.choice import RuntimeChoice, runtime_choices
from GDLACore.installation.installing import Installer, PickedWheels
from GDLACore.installation.python import Python
from GDLACore.installation.runtime_state import Ready, RuntimeState
from GDLACore.installation.system import SystemFacts


class RuntimeFolder:
    """The builds of ONNX Runtime in ``parent``, which need not exist yet.

    ``python`` is the command that starts the worker's Python, and ``environment`` what it is
    started with, by default both as here; it must be of the same version as the one here. It has
    numpy, and ONNX Runtime needs nothing else to compute.
    """

    def __init__(
        self,
        parent: Path,
        python: Sequence[str] | None = None,
        *,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.parent = Path(parent).absolute()
        self._folders = BuildFolders(self.parent)
        worker = Python(
            tuple(python or (sys.executable,)),
            os.environ if environment is None else environment,
        )
        self._installer = Installer(self._folders, worker)

    @property
    def packages(self) -> Path | None:
        """Return what goes in front of the worker's ``sys.path``; None if nothing is ready."""
        state = self.state()
        return state.path if isinstance(state, Ready) else None

    def state(self) -> RuntimeState:
        """Return what is installed, in a few milliseconds: no process is started."""
        return self._folders.state()

    def choices(self, system: SystemFacts) -> tuple[RuntimeChoice, ...]:
        """Return the builds that work on ``system``, fastest first, the small one last.

        Others' CUDA, such as PyTorch's, is not counted on: it may be gone tomorrow. Raises
        EngineError if there is none.
        """
        return runtime_choices(dataclasses.replace(system, cuda=None))

    def install(self, choice: RuntimeChoice) -> Installation:
        """Begin to fetch and install ``choice``; once it works, it takes the place of another."""
        return Installation(lambda control: self._installer.from_index(choice, control))

    def install_wheels(self, find: Callable[[], PickedWheels]) -> Installation:
        """Begin to install the wheels that ``find`` returns, without any network.

        ``find`` is called in the background; a GDLAError that it raises is what Failed tells.
        """
        return Installation(lambda control: self._installer.from_wheels(find, control))

    def remove(self) -> None:
        """Remove all builds; the worker must have been closed.

        Raises InstallationError, and leaves all as it was, if one is in use.
        """
        self._folders.remove()
