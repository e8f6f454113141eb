"""Segment Editor's history, with what a test knows of each state kept in step with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import slicer

Known = TypeVar("Known")


class MirroredUndo(Generic[Known]):
    """Saves, undoes and redoes in ``logic``, and tells what was known of the state it is then in.

    Follows ``vtkSegmentationHistory``: what is changed after an undo cannot be redone, and only so
    many states are kept.
    """

    def __init__(
        self, logic: slicer.vtkSlicerSegmentEditorLogic, node: slicer.vtkMRMLSegmentationNode
    ) -> None:
        self._logic = logic
        self._states: list[Known] = []
        self._current = 0  # which state it is in; one more than there are if in none of them
        self._is_restoring = False
        self._most = 5
        segmentation, events = node.GetSegmentation(), slicer.vtkSegmentation
        for event in (
            events.SegmentAdded,
            events.SegmentRemoved,
            events.SegmentModified,
            events.SourceRepresentationModified,
        ):
            segmentation.AddObserver(event, self._on_modified)

    def save(self, known: Known) -> None:
        self._save(known)
        self._logic.SaveStateForUndo()
        self._compare()

    def undo(self, known: Known) -> Known:
        if self._current == len(self._states):
            self._save(known)
            self._current = len(self._states) - 2
        else:
            self._current -= 1
        return self._restored(self._logic.Undo)

    def redo(self) -> Known:
        self._current += 1
        return self._restored(self._logic.Redo)

    def change(self, corrected: Callable[[Known], Known]) -> None:
        """Know of every state what ``corrected`` returns for it."""
        self._states = [corrected(known) for known in self._states]

    def _restored(self, act: Callable[[], None]) -> Known:
        self._is_restoring = True
        act()
        self._is_restoring = False
        self._compare()
        return self._states[self._current]

    def _save(self, known: Known) -> None:
        if self._current < len(self._states):
            return
        self._states.append(known)
        del self._states[: -self._most]
        self._current = len(self._states) - 1

    def _on_modified(self, caller: object, event: str) -> None:
        if not self._is_restoring:
            del self._states[self._current + 1 :]
            self._current = len(self._states)

    def _compare(self) -> None:
        assert self._logic.CanUndo() == (self._current >= 1)
        assert self._logic.CanRedo() == (self._current + 1 < len(self._states))
