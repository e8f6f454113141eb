"""The panel's review: which slices are doubtful, and which are good as they are."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator

from slicer.i18n import tr as _

from GDLACore.errors import GDLAError
from GDLASegmenterLib.DoubtPart import DoubtPart
from GDLASegmenterLib.DoubtProfile import profileNode
from GDLASegmenterLib.InputsPart import InputsPart
from GDLASegmenterLib.NotedGrid import referenceOf
from GDLASegmenterLib.ResultPart import ResultPart
from GDLASegmenterLib.ReviewSubject import ReviewSubject, reviewSubject
from GDLASegmenterLib.VolumeInput import volumeState

_BUDGET_S = 0.005  # at each tick of the panel's timer

_log = logging.getLogger(__name__)


class ReviewPart:
    """Marks slices of the selected segmentation as reviewed, and shows what is known of them.

    It follows the slice that the user looks at, and finds those that he edits.
    """

    def __init__(self, ui, inputs: InputsPart, result: ResultPart) -> None:
        self._ui = ui
        self._inputs = inputs
        self._result = result
        self._doubt = DoubtPart(ui)
        self._subject: ReviewSubject | None = None
        self._subjectOf: tuple | None = None  # what the subject depends on
        self._refresh: Generator | None = None
        ui.reviewedCheckBox.connect("clicked(bool)", self.onReviewed)

    @property
    def subject(self) -> ReviewSubject | None:
        """What is reviewed, None if there is nothing."""
        return self._subject

    def update(self, enabled: bool) -> None:
        """Show what is selected now; ``enabled``: whether slices may be marked."""
        self._chooseSubject()
        subject = self._subject
        viewed = subject.viewedSlice() if subject is not None else None
        marks = subject.marks if subject is not None else None
        if marks is not None and enabled:
            self._findEdits()
        protected = marks.protected if marks is not None else frozenset()
        self._doubt.update(protected, viewed)
        self._ui.sliceNoteLabel.text = self._note(viewed, len(protected))
        box = self._ui.reviewedCheckBox
        obstacle = self._obstacle(viewed, enabled)
        box.enabled = not obstacle
        box.checked = viewed in protected
        isEdited = marks is not None and viewed in marks.edited
        box.text = _("Slice is reviewed (edited)") if isEdited else _("Slice is reviewed")
        box.toolTip = obstacle or _(
            "No run, of whatever checkpoint, changes a slice that is checked or edited by hand. "
            "Uncheck it to let runs change it again."
        )

    def onReviewed(self, checked: bool) -> None:
        """Protect the slice that the user looks at, or let it be changed again."""
        viewed = self._subject.viewedSlice()
        if viewed is not None:
            marks = self._subject.marks
            (marks.tick if checked else marks.release)(viewed)

    def _chooseSubject(self) -> None:
        """Look anew at what there is to review, if anything that it depends on has changed."""
        subjectOf = self._dependencies()
        if subjectOf == self._subjectOf:
            return
        self._subjectOf = subjectOf
        self._refresh = None
        self._subject = subjectOf and reviewSubject(
            self._result.segmentationNode,
            self._result.volumeNode,
            self._inputs.model and self._inputs.model.card,
        )
        self._doubt.setSubject(self._subject)

    def _dependencies(self) -> tuple | None:
        """Return what the subject follows from; None if there is nothing to review."""
        node = self._result.segmentationNode
        volumeNode = self._result.volumeNode if node is not None else None
        if volumeNode is None:
            return None
        try:
            state = volumeState(volumeNode)
        except GDLAError:
            return None
        model, table = self._inputs.model, profileNode(node)
        return (
            *(node.GetID(), referenceOf(node), volumeNode.GetID(), state),
            model.name if model is not None else None,
            (table.GetID(), table.GetMTime()) if table is not None else None,
        )

    def _findEdits(self) -> None:
        """Go on looking for slices that the user has edited, for a few milliseconds."""
        if self._refresh is None:
            if self._subject.marks.isCurrent:
                return
            self._refresh = self._subject.marks.refresh()
        stop = time.perf_counter() + _BUDGET_S
        while self._refresh is not None and time.perf_counter() < stop:
            if next(self._refresh, self) is self:
                self._refresh = None

    def _note(self, viewed: int | None, reviewed: int) -> str:
        """Return what is known of the slice that the user looks at."""
        subject = self._subject
        if subject is None:
            return _("Nothing to review yet.")
        count = subject.slices.count
        done = _("{done} of {count} slices reviewed.").format(done=reviewed, count=count)
        if viewed is None:
            return _("No slice view shows a slice of {name}.").format(
                name=subject.volumeNode.GetName()
            )
        doubt = subject.doubt.get(viewed)
        if doubt is None:
            return _("Slice {index}.").format(index=viewed) + " " + done
        rank = 1 + sum(one > doubt for one in subject.doubt.values())
        text = _("Slice {index}: doubt {doubt}, rank {rank} of {known}.").format(
            index=viewed, doubt=_rounded(doubt), rank=rank, known=len(subject.doubt)
        )
        return text + " " + done

    def _obstacle(self, viewed: int | None, enabled: bool) -> str:
        """Return why the slice cannot be marked, "" if it can."""
        subject = self._subject
        if subject is None:
            return _("There is no segmentation to review.")
        if subject.marks is None:
            return _(
                "Slices of this segmentation cannot be marked: it is a frame of a sequence, or its "
                "reviewed slices are of another volume."
            )
        if viewed is None:
            return _("No slice view shows a slice of the volume.")
        return "" if enabled else _("Something is being done: wait until it is over.")


def _rounded(doubt: float) -> str:
    return f"{doubt:.0f}" if doubt >= 10 else f"{doubt:.1f}"
