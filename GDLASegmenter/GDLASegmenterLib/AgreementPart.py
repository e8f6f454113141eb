"""The panel's agreement: how far the segmentation was corrected after the models had made it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import qt
import slicer.util
from slicer.i18n import tr as _

from GDLACore.review.agreement_file import append_agreements
from GDLASegmenterLib.Activities import StepsActivity
from GDLASegmenterLib.AgreementTable import addAgreementTable, agreementSteps
from GDLASegmenterLib.ChoiceDialog import chosenFromList
from GDLASegmenterLib.Controller import Step
from GDLASegmenterLib.ModelRecord import recordsOf
from GDLASegmenterLib.ResultPart import ResultPart
from GDLASegmenterLib.TableView import showTable

_LIST_SETTING = "GDLASegmenter/AgreementList"


class AgreementPart:
    """Compares the selected segmentation with what the models made of it. ``begin`` does steps."""

    def __init__(self, ui, result: ResultPart, begin: Callable[[list[Step]], None]) -> None:
        self._ui = ui
        self._result = result
        self._begin = begin
        ui.agreementButton.connect("clicked(bool)", self.onAgreement)

    def update(self, enabled: bool) -> None:
        """``enabled``: whether the segmentation may be compared now, if there is one."""
        obstacle = self._obstacle(enabled)
        self._ui.agreementButton.enabled = not obstacle
        self._ui.agreementButton.toolTip = obstacle or _(
            "Compare the segmentation with what the checkpoints had made of it: volumes, Dice and "
            "voxels changed, in a table, and in a list of your own if you like."
        )

    def onAgreement(self, checked: bool = False) -> None:
        """Ask where it is to be noted, compare, and show the table."""
        known = slicer.util.settingsValue(_LIST_SETTING, "")
        answers = [_("In a table only"), _("In a table, and in a list (CSV)…")]
        if known:
            answers.append(_("In a table, and in {file}").format(file=known))
        chosen = chosenFromList(
            _("Agreement"),
            _(
                "Where is it to be noted? A list grows with each segmentation that you add. It "
                "holds the day, the checkpoint and numbers, and nothing about the patient."
            ),
            answers,
        )
        if chosen is None:
            return
        path = ("", None, known)[chosen]
        if path is None:
            path = self._askForList(known)
            if not path:
                return
        segmentationNode = self._result.segmentationNode

        def compared(reports) -> None:
            showTable(addAgreementTable(segmentationNode, reports))
            activity.text = _("The agreement is in a table.")
            if path:
                append_agreements(Path(path), reports, date.today())
                qt.QSettings().setValue(_LIST_SETTING, path)
                activity.text = _("The agreement is in a table, and in {file}.").format(file=path)

        activity = StepsActivity(agreementSteps(segmentationNode), _("Comparing…"), compared)
        self._begin([lambda: activity])

    def _askForList(self, known: str) -> str:
        # It is added to, and not replaced, so that nothing needs to be asked about a file that is
        # there: a dialog for opening would refuse one that is not.
        dialog = qt.QFileDialog(slicer.util.mainWindow(), _("List of agreements"), known)
        dialog.setAcceptMode(qt.QFileDialog.AcceptSave)
        dialog.setOption(qt.QFileDialog.DontConfirmOverwrite, True)
        dialog.setNameFilter(_("Lists") + " (*.csv)")
        dialog.setDefaultSuffix("csv")
        accepted = dialog.exec_() == qt.QDialog.Accepted
        chosen = dialog.selectedFiles()[0] if accepted else ""
        dialog.deleteLater()
        return chosen

    def _obstacle(self, enabled: bool) -> str:
        """Return why nothing can be compared, "" if it can."""
        node = self._result.segmentationNode
        if node is None:
            return _("There is no segmentation to review.")
        if not recordsOf(node):
            return _(
                "Nobody knows what a checkpoint had made of it. Segment into it: what is corrected "
                "from then on can be told."
            )
        return "" if enabled else _("Something is being done: wait until it is over.")
