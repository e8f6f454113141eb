"""The panel's way to let a slice that was corrected by hand tell of those beside it."""

from __future__ import annotations

from collections.abc import Callable, Generator

from slicer.i18n import tr as _

from GDLACore.errors import Cancelled
from GDLACore.storage import StoredModel
from GDLASegmenterLib.Activities import Activity, StepsActivity
from GDLASegmenterLib.Controller import Step
from GDLASegmenterLib.CorrectionRequest import correctionRequest
from GDLASegmenterLib.EnvironmentPart import EnvironmentPart
from GDLASegmenterLib.InputsPart import InputsPart
from GDLASegmenterLib.ModelRecord import recordOf
from GDLASegmenterLib.Parameters import Parameters
from GDLASegmenterLib.ReviewPart import ReviewPart
from GDLASegmenterLib.ReviewSubject import ReviewSubject
from GDLASegmenterLib.SegmentationRequest import SegmentationRequest
from GDLASegmenterLib.SequenceRun import browserOf
from GDLASegmenterLib.ViewedSlice import sliceAxis
from GDLASegmenterLib.VolumeInput import readVolume


class NeighborsPart:
    """Segments the slices beside an edited one anew.

    ``begin`` does steps; ``segment`` begins a request, made of parameters.
    """

    def __init__(
        self,
        ui,
        environment: EnvironmentPart,
        inputs: InputsPart,
        review: ReviewPart,
        begin: Callable[[list[Step]], None],
        segment: Callable[[SegmentationRequest, Parameters], Activity],
    ) -> None:
        self._ui = ui
        self._environment = environment
        self._inputs = inputs
        self._review = review
        self._begin = begin
        self._segment = segment
        self._parameters: Parameters | None = None
        ui.neighborsButton.connect("clicked(bool)", self.onNeighbors)

    def setParameters(self, parameters: Parameters | None) -> None:
        self._parameters = parameters

    def update(self, enabled: bool) -> None:
        """``enabled``: whether a run may begin now."""
        obstacle = self._obstacle(enabled)
        self._ui.neighborsButton.enabled = not obstacle
        self._ui.neighborsButton.toolTip = obstacle or _(
            "Segment five slices to either side of the edited one anew, going by what you changed. "
            "Reviewed slices stay as they are, and so does what is outside of a chosen region."
        )

    def onNeighbors(self, checked: bool = False) -> None:
        """Find all that was corrected until now, and segment the slices beside."""
        parameters, model, subject = self._parameters, self._inputs.model, self._review.subject
        viewed = subject.viewedSlice()

        def segment() -> Activity:
            record = recordOf(subject.segmentationNode, model.card.name)
            request = correctionRequest(
                *(subject, record, viewed),
                *(parameters, model, self._environment.device, self._environment.server),
            )
            return self._segment(request, parameters)

        looking = StepsActivity(
            self._lookSteps(subject, model),
            _("Looking for what you corrected…"),
            lambda _found: None,
        )
        self._begin([lambda: looking, segment])

    def _lookSteps(
        self, subject: ReviewSubject, model: StoredModel | None
    ) -> Generator[None, None, None]:
        """Find what was corrected; raises Cancelled if there is nothing to go by any more."""
        while not subject.marks.isCurrent:
            yield  # also where there is nothing to look at
            _checkIsThere(subject)
            for _step in subject.marks.refresh():
                yield
                _checkIsThere(subject)
        _checkIsThere(subject)
        if problem := self._problem(subject, model):
            raise Cancelled(problem)

    def _obstacle(self, enabled: bool) -> str:
        """Return why no slices can be segmented anew, "" if they can."""
        subject = self._review.subject
        if problem := self._problem(subject, self._inputs.model):
            return problem
        if subject.viewedSlice() is None:
            return _("No slice view shows a slice of the volume.")
        return "" if enabled else _("Something is being done: wait until it is over.")

    def _problem(self, subject: ReviewSubject | None, model: StoredModel | None) -> str:
        """Return why ``model`` cannot go by what was corrected in ``subject``, "" if it can."""
        if subject is None:
            return _("There is no segmentation to review.")
        if subject.marks is None or browserOf(subject.volumeNode) is not None:
            return _("This is not possible in a sequence.")
        if not subject.marks.edited:
            return _("Correct a slice by hand first: then those beside it can follow.")
        if problem := self._environment.serverProblem:
            return problem
        if model is None or not self._environment.canRun(model):
            return _("The checkpoint cannot be run yet. Click Segment to get what is missing.")
        axis = sliceAxis(readVolume(subject.volumeNode), model.card)
        name = model.card.name
        if recordOf(subject.segmentationNode, name) is None or axis != subject.slices.axis:
            return _("Choose the checkpoint that the segmentation was made with.")
        if not subject.marks.editedOf(name):
            return _("Choose the checkpoint whose segments you corrected.")
        return ""


def _checkIsThere(subject: ReviewSubject) -> None:
    for node in subject.volumeNode, subject.segmentationNode:
        if node.GetScene() is None:
            raise Cancelled(
                _("Stopped: {name} is not in the scene any more.").format(name=node.GetName())
            )
