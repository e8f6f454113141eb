"""The panel's environment: what runs the networks, here or on a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import qt
import slicer
import slicer.util
from slicer.i18n import tr as _

from GDLACore import storage
from GDLACore.errors import GDLAError
from GDLACore.installation import (
    Absent,
    InstalledBuild,
    Ready,
    RuntimeChoice,
    SystemFacts,
    detect_system,
    installed_builds,
)
from GDLACore.model.card import ModelCard
from GDLACore.offline import install_from_folder
from GDLACore.remote import RemoteServer
from GDLASegmenterLib.Activities import InstallationActivity, TaskActivity
from GDLASegmenterLib.Controller import Step
from GDLASegmenterLib.Diagnostics import diagnostics
from GDLASegmenterLib.Folders import modelFolder, runtimeFolder
from GDLASegmenterLib.ServerPart import ServerPart

_DEVICE_SETTING = "GDLASegmenter/Device"
_REMOTE = "remote"
_DEVICES = ("auto", "cpu", "cuda", "directml", "coreml", _REMOTE)


class EnvironmentPart:
    """Installs and removes the runtime, and keeps the device or server that the user prefers.

    ``begin`` does steps, ``stopWorker`` ends the worker, which may be using what is to change;
    ``onChanged`` is called when another device or server is chosen.
    """

    def __init__(
        self,
        ui,
        begin: Callable[[list[Step]], None],
        stopWorker: Callable[[], None],
        onChanged: Callable[[], None],
    ) -> None:
        self._ui = ui
        self._begin = begin
        self._stopWorker = stopWorker
        self._onChanged = onChanged
        self._remote = ServerPart(ui, begin, onChanged)
        self._runtime = runtimeFolder()
        self._system: SystemFacts | None = None
        self._inSlicer: tuple[InstalledBuild, ...] | None = None
        self.modelFolder = modelFolder()
        self._listDevices()
        ui.deviceComboBox.connect("currentIndexChanged(int)", self._onDeviceSelected)
        ui.installButton.connect("clicked(bool)", self.onInstall)
        ui.installFromFolderButton.connect("clicked(bool)", self.onInstallFromFolder)
        ui.removeRuntimeButton.connect("clicked(bool)", self.onRemove)
        ui.openModelsButton.connect("clicked(bool)", self.onOpenModels)

    @property
    def device(self) -> str:
        """The device of this computer to use: "auto", or a name of ``GDLACore.engine.DEVICES``."""
        return "auto" if self.isRemote else self._chosen

    @property
    def isRemote(self) -> bool:
        """Whether a server is to do the work."""
        return self._chosen == _REMOTE

    @property
    def server(self) -> RemoteServer | None:
        """The server that is to do the work, if one is. Raises ServerError if none can be asked."""
        return self._remote.server if self.isRemote else None

    @property
    def serverProblem(self) -> str:
        """Why the server that is to do the work cannot be asked, "" if it can, or none is."""
        return self._remote.problem if self.isRemote else ""

    @property
    def offered(self) -> Mapping[str, ModelCard | None]:
        """What the server said to have, by name, with the cards that it told."""
        return self._remote.offered if self.isRemote else {}

    @property
    def isTesting(self) -> bool:
        """Whether a connection is being tested."""
        return self._remote.isTesting

    @property
    def isReady(self) -> bool:
        """Whether networks can be run here: by a build of our own, or one that Slicer has."""
        return self.packages() is not None or bool(self._others())

    def canRun(self, model: storage.StoredModel) -> bool:
        """Return whether slices can be asked of ``model`` without getting anything first."""
        if self.isRemote:
            return model.card is not None and not self.serverProblem
        return model.state == storage.READY and self.isReady

    def packages(self) -> Path | None:
        """Return the folder with the build of our own, if there is one."""
        return self._runtime.packages

    def update(self) -> None:
        """Show what is installed, and how much of the disk it takes."""
        state = self._runtime.state()
        isThere = isinstance(state, Ready)
        text = state.text
        if not isThere and (others := self._others()):
            text = _("{package} {version}, which is among Slicer's packages").format(
                package=others[0].package, version=others[0].version
            )
        self._ui.runtimeLabel.text = _("ONNX Runtime: {text}").format(text=text)
        isAbsent = isinstance(state, Absent)
        self._ui.installButton.text = _("Install") if isAbsent else _("Reinstall")
        self._ui.removeRuntimeButton.enabled = not isAbsent
        self._ui.modelsLabel.text = _("Checkpoints: {size} MB in {folder}").format(
            size=round(storage.size_on_disk(self.modelFolder) / 1e6), folder=self.modelFolder
        )

    def stepsToInstall(self) -> list[Step]:
        """Return what is to be done before the first segmentation; it asks the user."""
        if self.isRemote or self.isReady:
            return []
        return [self._look, self._installAfterAsking]

    def takeOverServer(self) -> None:
        """Go by what was typed of the server, also where the keyboard is still in a field."""
        self._remote.takeOver()

    def onInstall(self, checked: bool = False) -> None:
        self._begin([self._look, self._installAfterAsking])

    def onInstallFromFolder(self, checked: bool = False) -> None:
        """Install without a network, from a folder that the user chooses."""
        folder = qt.QFileDialog.getExistingDirectory(
            slicer.util.mainWindow(), _("Folder of wheels, or of an offline bundle")
        )
        if folder:
            self._begin([self._look, lambda: self._installWheels(Path(folder))])

    def onRemove(self, checked: bool = False) -> None:
        if slicer.util.confirmOkCancelDisplay(
            _("Remove ONNX Runtime from this computer? It is needed to segment."),
            _("Remove ONNX Runtime"),
        ):
            self._stopWorker()
            try:
                self._runtime.remove()
            except GDLAError as error:
                slicer.util.errorDisplay(str(error), _("Remove ONNX Runtime"))
            self.update()

    def onOpenModels(self, checked: bool = False) -> None:
        try:
            storage.ensure_folder(self.modelFolder)
        except GDLAError as error:
            slicer.util.errorDisplay(str(error), _("Open folder"))
            return
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self.modelFolder)))

    def copyDiagnostics(self, device: str, log: str) -> None:
        """Put what a report of a problem needs onto the clipboard."""
        state, folder = self._runtime.state(), self._runtime.parent
        text = diagnostics(state.text, folder, device or self._chosen, log, self._remote.hosts)
        slicer.app.clipboard().setText(text)

    def _others(self) -> tuple[InstalledBuild, ...]:
        """Return the builds among Slicer's packages, looked for once: it takes a tenth of a second.

        What is put there later is found after Slicer was started again, as with all its packages.
        """
        if self._inSlicer is None:
            self._inSlicer = installed_builds()
        return self._inSlicer

    def _look(self) -> TaskActivity:
        """Find out what there is on this computer; asking graphics drivers may take a moment."""
        return TaskActivity(
            storage.Task(lambda control: detect_system()),
            _("Looking at this computer…"),
            self._seen,
        )

    def _seen(self, system: SystemFacts) -> str:
        self._system = system
        return ""

    def _installAfterAsking(self) -> InstallationActivity | None:
        choice = self._runtime.choices(self._system)[0]
        if not slicer.util.confirmOkCancelDisplay(
            self._question(choice), _("Install ONNX Runtime")
        ):
            return None
        self._stopWorker()
        return InstallationActivity(self._runtime.install(choice), self._ui.logText.appendPlainText)

    def _question(self, choice: RuntimeChoice) -> str:
        return _(
            "To run the networks, {package} will be installed: {cost}.\n\n{reason}\n\nIt goes into "
            "{folder}, apart from Slicer's own packages, which are not changed, and can be removed "
            "in the module under Advanced."
        ).format(
            package=choice.package,
            cost=choice.cost,
            reason=choice.reason,
            folder=self._runtime.parent,
        )

    def _installWheels(self, folder: Path) -> InstallationActivity:
        choices = self._runtime.choices(self._system)
        self._stopWorker()
        return InstallationActivity(
            install_from_folder(self._runtime, folder, choices), self._ui.logText.appendPlainText
        )

    def _listDevices(self) -> None:
        names = {
            "auto": _("Automatic"),
            "cpu": _("CPU"),
            "cuda": _("NVIDIA GPU (CUDA)"),
            "directml": _("GPU of Windows (DirectML)"),
            "coreml": _("GPU of macOS (CoreML)"),
            _REMOTE: _("Remote server…"),
        }
        for name in _DEVICES:
            self._ui.deviceComboBox.addItem(names[name], name)
        preferred = slicer.util.settingsValue(_DEVICE_SETTING, _DEVICES[0])
        self._ui.deviceComboBox.setCurrentIndex(max(0, self._ui.deviceComboBox.findData(preferred)))
        self._ui.serverGroup.setVisible(self.isRemote)

    @property
    def _chosen(self) -> str:
        return self._ui.deviceComboBox.itemData(self._ui.deviceComboBox.currentIndex)

    def _onDeviceSelected(self, index: int) -> None:
        if index >= 0:
            qt.QSettings().setValue(_DEVICE_SETTING, self._chosen)
            self._ui.serverGroup.setVisible(self.isRemote)
            self._onChanged()
