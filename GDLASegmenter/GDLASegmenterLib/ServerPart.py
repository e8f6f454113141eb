"""The panel's remote server: where it is, what it is asked with, and what it offers."""

from __future__ import annotations

from collections.abc import Callable

import qt
import slicer.util
from slicer.i18n import tr as _

from GDLACore import storage
from GDLACore.errors import ServerError
from GDLACore.model.card import ModelCard
from GDLACore.remote import RemoteServer, ServedModel, ServerReport, check_server
from GDLASegmenterLib.Activities import TaskActivity
from GDLASegmenterLib.Controller import Step

_SETTING = "GDLASegmenter/Server/"


class ServerPart:
    """Keeps on this computer, and nowhere else, what the user says of a server, and tests it.

    ``begin`` does steps, ``onChanged`` is called when another server is meant. ``offered`` are the
    models that the server at this address said to have ready when it answered last, by name, with
    their cards where it told them. ``hosts`` are the names of all servers meant so far.
    """

    def __init__(
        self, ui, begin: Callable[[list[Step]], None], onChanged: Callable[[], None]
    ) -> None:
        self._ui = ui
        self._begin = begin
        self._onChanged = onChanged
        self.offered: dict[str, ModelCard | None] = {}
        self.hosts: set[str] = set()
        self._test: TaskActivity | None = None
        self._fields = {
            "Address": ui.serverAddressLineEdit,
            "CAFile": ui.serverCAFileLineEdit,
            "Token": ui.serverTokenLineEdit,
        }
        for name, field in self._fields.items():
            field.text = slicer.util.settingsValue(_SETTING + name, "")
        ui.fallBackCheckBox.checked = slicer.util.settingsValue(
            _SETTING + "FallBack", False, converter=slicer.util.toBool
        )
        self._texts, self._fallBack = self._read()
        self._meant = self._understood()
        self._origin = self._originMeant()
        for field in self._fields.values():
            field.connect("editingFinished()", self.takeOver)
        ui.fallBackCheckBox.connect("toggled(bool)", self.onFallBack)
        ui.chooseCAFileButton.connect("clicked(bool)", self.onChooseCAFile)
        ui.testConnectionButton.connect("clicked(bool)", self.onTest)

    @property
    def server(self) -> RemoteServer:
        """The server that is meant. Raises ServerError if what the fields say is none."""
        if isinstance(self._meant, ServerError):
            raise ServerError(self._meant.message, self._meant.hint)
        return self._meant

    @property
    def problem(self) -> str:
        """Why there is no server to ask, "" if there is one."""
        return str(self._meant) if isinstance(self._meant, ServerError) else ""

    @property
    def isTesting(self) -> bool:
        return self._test is not None and not self._test.isOver

    def takeOver(self) -> None:
        """Go by what is in the fields from now on: not by an address that is half typed."""
        texts, fallBack = self._read()
        isOther = texts != self._texts
        if not isOther and fallBack == self._fallBack:
            return
        if texts["Address"] != self._texts["Address"]:
            self.offered = {}
        hadToken = texts["Token"] == self._texts["Token"] != ""
        self._texts, self._fallBack = texts, fallBack
        self._meant = self._understood()
        note = self._forgetTokenOfAnother() if hadToken else ""
        self._origin = self._originMeant() or self._origin
        settings = qt.QSettings()
        for name, text in texts.items():
            if text:
                settings.setValue(_SETTING + name, text)
            else:
                settings.remove(_SETTING + name)
        settings.setValue(_SETTING + "FallBack", fallBack)
        if isOther:
            self._ui.serverLabel.text = self.problem or note
        self._onChanged()

    def onFallBack(self, checked: bool) -> None:
        self.takeOver()

    def onChooseCAFile(self, checked: bool = False) -> None:
        path = qt.QFileDialog.getOpenFileName(
            slicer.util.mainWindow(),
            _("Certificates"),
            "",
            _("Certificates") + " (*.pem *.crt *.cer)",
        )
        if path:
            self._ui.serverCAFileLineEdit.text = path
            self.takeOver()

    def onTest(self, checked: bool = False) -> None:
        """Ask the server what it has, in the background."""
        self.takeOver()
        self._ui.serverLabel.text = self.problem
        if not self.problem:
            self._begin([self._beginTest])

    def _beginTest(self) -> TaskActivity:
        server = self.server
        self._test = TaskActivity(
            storage.Task(lambda control: _answerOf(server)),
            _("Asking {host}…").format(host=server.host),
            lambda answer: self._show(server, answer),
        )
        return self._test

    def _show(self, server: RemoteServer, answer: ServerReport | ServerError) -> str:
        if isinstance(answer, ServerError):
            self._ui.serverLabel.text = str(answer)
            return answer.message
        self.offered = {model.name: model.card for model in answer.models if model.ready}
        self._ui.serverLabel.text = _inWords(server, answer)
        return _("{host} answers.").format(host=server.host)

    def _originMeant(self) -> tuple[str, int] | None:
        """Return the computer and the port that are meant, None as long as there is no server."""
        server = self._meant
        return None if isinstance(server, ServerError) else (server.hostname, server.port)

    def _forgetTokenOfAnother(self) -> str:
        """Drop a token that was typed for another server than the one that is meant now; say so.

        Whoever has it could ask that other server in the user's name.
        """
        origin = self._originMeant()
        if origin is None or self._origin in (None, origin):
            return ""
        self._ui.serverTokenLineEdit.text = self._texts["Token"] = ""
        self._meant = self._understood()
        return _(
            "The token was that of {host}: type the one of this server, if it wants one."
        ).format(host=self._origin[0])

    def _read(self) -> tuple[dict[str, str], bool]:
        texts = {name: field.text.strip() for name, field in self._fields.items()}
        return texts, self._ui.fallBackCheckBox.checked

    def _understood(self) -> RemoteServer | ServerError:
        texts = self._texts
        if not texts["Address"]:
            return ServerError(
                _("The address of the server is missing."),
                _("Type it under Advanced, such as https://server:8000, and test the connection."),
            )
        try:
            server = RemoteServer(
                texts["Address"],
                token=texts["Token"] or None,
                ca_file=texts["CAFile"] or None,
                fall_back=self._fallBack,
            )
        except ServerError as error:
            return error
        self.hosts.add(server.hostname)
        return server


def _answerOf(server: RemoteServer) -> ServerReport | ServerError:
    """Return what there is to show of ``server``; that it does not answer, too, is an answer."""
    try:
        return check_server(server)
    except ServerError as error:
        return error


def _inWords(server: RemoteServer, report: ServerReport) -> str:
    latency = 1000 * report.latency_s
    lines = [
        _("{name} {version} answers in {milliseconds} ms.").format(
            name=report.name,
            version=report.version,
            milliseconds=round(latency, 1) if latency < 9.95 else round(latency),
        )
    ]
    if not (server.is_secure or server.is_local):
        lines.append(_("Nothing is encrypted: who can listen on the way sees the slices."))
    if not report.models:
        lines.append(_("It has no models."))
    return "\n".join([*lines, *map(_modelInWords, report.models)])


def _modelInWords(model: ServedModel) -> str:
    text = model.name
    if model.version:  # not every server tells
        text = _("{name}, version {version}").format(name=model.name, version=model.version)
    if model.problem:
        return f"{text}: {model.problem}"
    if not model.ready:
        return _("{model}: not ready yet.").format(model=text)
    return f"{text}: {model.card.title}" if model.card is not None else text
