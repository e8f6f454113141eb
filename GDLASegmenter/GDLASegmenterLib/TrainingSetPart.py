"""The panel's training set: a folder of the user's, to which corrected results are added."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import qt
import slicer.util
from slicer.i18n import tr as _

from GDLACore import storage, training_set
from GDLACore.errors import OutputError
from GDLACore.model.card import ModelCard
from GDLACore.training_set.case import Ranges
from GDLACore.training_set.pseudonym import patient_identity, pseudonym, read_secret
from GDLACore.training_set.reviewed import labelled_slices, slice_count, slice_ranges
from GDLASegmenterLib.Activities import StepsActivity, TaskActivity
from GDLASegmenterLib.CaseDialog import CaseDialog
from GDLASegmenterLib.CaseLabels import caseLabels
from GDLASegmenterLib.CaseSnapshot import Case, copyInSteps, sceneCase
from GDLASegmenterLib.Controller import Step
from GDLASegmenterLib.Folders import trainingSetSecret
from GDLASegmenterLib.InputsPart import InputsPart
from GDLASegmenterLib.Parameters import Parameters, SegmentedPart
from GDLASegmenterLib.ResultPart import ResultPart
from GDLASegmenterLib.SliceMarks import readMarks
from GDLASegmenterLib.VolumeGrid import volumeGrid

_FOLDER_SETTING = "GDLASegmenter/TrainingSetFolder"

# From the labels [k, j, i] and the slice axis to the slices that are reviewed; None for all.
Reviewed = Callable[[object, int], "Ranges | None"]


@dataclass(frozen=True)
class _Answer:
    """Where a case goes, and which slices of it the user has checked."""

    folder: str
    reviewed: Reviewed


@dataclass(frozen=True)
class _Added:
    number: int
    structures: int
    reviewed: int
    slices: int


class TrainingSetPart:
    """Adds the selected segmentation with its image to a folder, in the background.

    ``begin`` does steps.
    """

    def __init__(
        self, ui, inputs: InputsPart, result: ResultPart, begin: Callable[[list[Step]], None]
    ) -> None:
        self._ui = ui
        self._inputs = inputs
        self._result = result
        self._begin = begin
        self._parameters: Parameters | None = None
        ui.addCaseButton.connect("clicked(bool)", self.onAdd)

    def setParameters(self, parameters: Parameters | None) -> None:
        self._parameters = parameters

    def update(self, enabled: bool) -> None:
        """``enabled``: whether a case may be added now, if there is one."""
        self._ui.addCaseButton.enabled = (
            enabled
            and self._result.segmentationNode is not None
            and self._result.volumeNode is not None
            and self._inputs.model is not None
        )

    def onAdd(self, checked: bool = False) -> None:
        """Ask, copy what is in the scene, and write the copy."""
        nodes = self._result.volumeNode, self._result.segmentationNode
        adding = _Adding(nodes, self._inputs.model.card, self._sliceRange())
        self._begin([adding.copyAfterAsking, adding.write])

    def _sliceRange(self) -> tuple[int, int] | None:
        """Return first and last slice that are chosen in the panel, if a range is.

        It is one of the chosen volume, and says nothing of another that the case is of.
        """
        parameters = self._parameters
        if (
            parameters.part is not SegmentedPart.SLICE_RANGE
            or self._result.volumeNode is not parameters.inputVolume
        ):
            return None
        first, last = sorted((parameters.firstSlice, parameters.lastSlice))
        return first, last


class _Adding:
    """One case on its way: the question, the copy, the writing."""

    def __init__(self, nodes: tuple, card: ModelCard, sliceRange: tuple[int, int] | None) -> None:
        self._nodes = nodes
        self._card = card
        self._sliceRange = sliceRange
        self._answer: _Answer | None = None
        self._case: Case | None = None

    def copyAfterAsking(self) -> StepsActivity | None:
        case = sceneCase(*self._nodes, self._card)
        self._answer = self._ask(case)
        if self._answer is None:
            return None
        title = _("Copying {name}…").format(name=case.volume.name)
        return StepsActivity(copyInSteps(*self._nodes, self._card), title, self._copied)

    def write(self) -> TaskActivity:
        case, answer, secret = self._case, self._answer, trainingSetSecret()
        return TaskActivity(
            storage.Task(lambda control: _write(case, answer, secret, control)),
            _("Adding to the training set…"),
            self._written,
        )

    def _copied(self, case: Case) -> None:
        self._case = case

    def _written(self, added: _Added) -> str:
        qt.QSettings().setValue(_FOLDER_SETTING, self._answer.folder)
        return _(
            "Case {number} of your training set: {structures} structures, "
            "{reviewed} of {slices} slices reviewed"
        ).format(
            number=added.number,
            structures=added.structures,
            reviewed=added.reviewed,
            slices=added.slices,
        )

    def _ask(self, case: Case) -> _Answer | None:
        choices: list[tuple[str, Reviewed]] = [
            (_("All {count} slices").format(count=case.sliceCount), lambda labels, axis: None),
            (_("Only slices with a segment"), labelled_slices),
        ]
        if reviewed := self._reviewed(case):
            text = _("The {count} slices you reviewed").format(count=len(reviewed))
            choices.insert(0, (text, lambda labels, axis: slice_ranges(reviewed)))
        if self._sliceRange is not None:
            last = case.sliceCount - 1
            first, last = (min(end, last) for end in self._sliceRange)
            text = _("Slices {first} to {last}, as chosen in the panel")
            choices.append(
                (
                    text.format(first=first, last=last),
                    lambda labels, axis: ((first, last + 1),),
                )
            )
        folder = slicer.util.settingsValue(_FOLDER_SETTING, "")
        asked = CaseDialog(_question(case), folder, [text for text, _reviewed in choices]).ask()
        return asked and _Answer(asked[0], choices[asked[1]][1])

    def _reviewed(self, case: Case) -> frozenset[int]:
        """Return the slices that are edited or ticked in the segmentation."""
        volumeNode, segmentationNode = self._nodes
        grid = volumeGrid(volumeNode)
        marks = readMarks(segmentationNode, grid)
        return frozenset() if marks is None else marks.along(case.axis, grid.shape[case.axis])


def _question(case: Case) -> str:
    names = [label.name for label in case.structures]
    missing = [label.name for label in case.card.labels if label not in case.structures]
    text = _(
        "{volume} and its segments {names} are copied into a folder of yours, without names, dates "
        "and identifiers. Text that is part of the image stays in it, and so does a face."
    ).format(volume=case.volume.name, names=", ".join(names))
    if missing:
        text += "\n\n" + _(
            "Without a segment, and so unknown: {names}. A structure that is not in the image "
            "needs an empty segment."
        ).format(names=", ".join(missing))
    if case.leftOut:
        text += "\n\n" + _(
            "Left out, as not of these structures by their terminology, or copies: {names}."
        ).format(names=", ".join(case.leftOut))
    return text


def _write(case: Case, answer: _Answer, secret: Path, control: storage.Control) -> _Added:
    """Write ``case``; in a thread, where Slicer's translator cannot be asked."""
    labels = caseLabels(case.layers, case.volume.shape, case.card, case.segmentationName)
    control.check()
    reviewed = answer.reviewed(labels, case.axis)
    if reviewed == ():
        raise OutputError(
            f"No slice of {case.segmentationName} has a segment.",
            "Draw one, or say that all slices are checked: then they teach what is not there.",
        )
    identity = patient_identity(case.patientID, case.volume.array)
    control.check()
    training_set.add_case(
        answer.folder,
        case.volume,
        labels,
        case.structures,
        case.card,
        patient=pseudonym(read_secret(secret), identity),
        axis=case.axis,
        reviewed=reviewed,
        on_progress=lambda done, total: control.report("writing", done, total),
    )
    return _Added(
        len(training_set.case_folders(Path(answer.folder))),
        len(case.structures),
        slice_count(reviewed, case.sliceCount),
        case.sliceCount,
    )
