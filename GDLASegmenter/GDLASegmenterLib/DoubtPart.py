"""The panel's doubtful slices: where they are, the way from one to the next, and the confidence."""

from __future__ import annotations

import slicer.util
from slicer.i18n import tr as _

from GDLACore.errors import GDLAError
from GDLASegmenterLib.ConfidenceVolume import confidenceNode, isConfidenceShown, showConfidence
from GDLASegmenterLib.DoubtPlot import DoubtPlot
from GDLASegmenterLib.DoubtProfile import nextDoubtful
from GDLASegmenterLib.ReviewSubject import ReviewSubject


class DoubtPart:
    """Shows which slices of the subject are doubtful, and takes the user to them."""

    def __init__(self, ui) -> None:
        self._ui = ui
        self._subject: ReviewSubject | None = None
        self._protected: frozenset[int] = frozenset()
        self._viewed: int | None = None
        self._last: int | None = None  # where "next" led to
        self._plot = DoubtPlot(self.onSlice)
        ui.doubtFrame.layout().addWidget(self._plot)
        ui.nextDoubtfulButton.connect("clicked(bool)", self.onNext)
        ui.showConfidenceCheckBox.connect("clicked(bool)", self.onShowConfidence)

    def setSubject(self, subject: ReviewSubject | None) -> None:
        self._subject = subject
        self._last = None

    def update(self, protected: frozenset[int], viewed: int | None) -> None:
        """Show the doubt, with the slices that are ``protected`` and the one that is viewed."""
        self._protected, self._viewed = protected, viewed
        subject = self._subject
        doubt = subject.doubt if subject is not None else {}
        count = subject.slices.count if subject is not None else 0
        self._ui.doubtFrame.setVisible(bool(doubt) and count > 1)
        self._plot.showDoubt(doubt, count, protected, viewed)
        obstacle = self._obstacle()
        self._ui.nextDoubtfulButton.enabled = not obstacle
        self._ui.nextDoubtfulButton.toolTip = obstacle or _(
            "Go to the most doubtful slice that is not reviewed yet, then to the next. Key: N."
        )
        self._showConfidenceBox()

    def onSlice(self, index: int) -> None:
        """Go to the slice that was clicked on."""
        if self._subject is not None:
            self._subject.show(index)

    def onNext(self, checked: bool = False) -> None:
        subject, protected = self._subject, self._protected
        index = nextDoubtful(subject.doubt, protected, self._last)
        if index is not None and index == self._viewed:  # nothing would be seen to happen
            index = nextDoubtful(subject.doubt, protected, index)
        if index is not None:
            self._last = index
            subject.show(index)

    def onShowConfidence(self, checked: bool) -> None:
        try:
            showConfidence(self._subject.segmentationNode, checked)
        except GDLAError as error:
            slicer.util.errorDisplay(str(error), _("Show confidence"))

    def _obstacle(self) -> str:
        """Return why there is no next doubtful slice, "" if there is one."""
        subject = self._subject
        if subject is None:
            return _("There is no segmentation to review.")
        if not subject.doubt:
            return _(
                "Nothing is known of its slices. Segment with “Confidence and doubtful slices”, "
                "which is under Advanced."
            )
        if nextDoubtful(subject.doubt, self._protected, None) is None:
            return _("All slices are reviewed.")
        return ""

    def _showConfidenceBox(self) -> None:
        box, subject = self._ui.showConfidenceCheckBox, self._subject
        node = subject and confidenceNode(subject.segmentationNode)
        box.enabled = node is not None
        box.checked = node is not None and isConfidenceShown(subject.segmentationNode)
        if subject is None:
            box.toolTip = _("There is no segmentation to review.")
        elif node is None:
            box.toolTip = _(
                "The confidence is not known. Segment with “Confidence and doubtful slices”, which "
                "is under Advanced."
            )
        else:
            box.toolTip = _(
                "Color what the network is unsure of, in the slice views that show the volume."
            )
