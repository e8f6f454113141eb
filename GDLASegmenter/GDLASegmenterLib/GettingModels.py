"""How checkpoints come to this computer and leave it; the user is asked first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import slicer.util
from slicer.i18n import tr as _

from GDLACore import storage
from GDLACore.errors import GDLAError, ModelFileError
from GDLASegmenterLib.Activities import TaskActivity
from GDLASegmenterLib.ChoiceDialog import chosenFromList
from GDLASegmenterLib.Controller import Step


class GettingModels:
    """Downloads, imports and removes checkpoints in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def downloadAfterAsking(self, model: storage.StoredModel) -> TaskActivity | None:
        """Begin to download ``model``, if the user accepts its terms.

        Raises DownloadError if no address is known, ModelFileError if its file is damaged.
        """
        if model.state == storage.DAMAGED:
            raise ModelFileError(
                model.problem, _("Remove it under Advanced, then get it or import it again.")
            )
        remote = storage.remote_file(model.entry)
        question = _(
            "{title} is not on this computer. Download it from {url}?\n\nLicense: {license}\n\n"
            "Intended use: {use}"
        ).format(
            title=model.title,
            url=remote.url,
            license=model.card.provenance.licence,
            use=model.card.provenance.intended_use,
        )
        if not slicer.util.confirmOkCancelDisplay(question, _("Download checkpoint")):
            return None
        return TaskActivity(
            storage.Task(lambda control: storage.download(remote, self._folder, control)),
            _("Downloading {title}").format(title=model.title),
            lambda path: _("Downloaded {name}.").format(name=path.name),
        )

    def stepsToImport(
        self, path: Path, onImported: Callable[[storage.ImportReport], None]
    ) -> list[Step]:
        """Return the steps that look at ``path``, ask which model it is, and take it in."""
        seen: list[storage.Examination] = []

        def examine() -> TaskActivity:
            return TaskActivity(
                storage.Task(lambda control: storage.examine(path, control)),
                _("Looking at {name}").format(name=path.name),
                lambda examination: seen.append(examination) or "",
            )

        def take() -> TaskActivity | None:
            candidate = self._chosen(seen[0])
            return candidate and self._import(path, seen[0], candidate, onImported)

        return [examine, take]

    def removeAfterAsking(self, model: storage.StoredModel) -> bool:
        """Remove the file of ``model`` if the user agrees; return whether it was removed."""
        question = _("Remove {title} ({size} MB) from this computer?\n\n{path}").format(
            title=model.title, size=round(model.size / 1e6), path=model.path
        )
        if not slicer.util.confirmOkCancelDisplay(question, _("Remove checkpoint")):
            return False
        try:
            storage.remove_model(model, self._folder)
        except GDLAError as error:
            slicer.util.errorDisplay(str(error), _("Remove checkpoint"))
            return False
        return True

    def _chosen(self, examination: storage.Examination) -> storage.Candidate | None:
        """Return the model that the file is, as the user confirms; None if he does not."""
        candidates = examination.candidates
        candidate = candidates[0]
        if len(candidates) > 1:
            index = chosenFromList(
                _("Import checkpoint"),
                _("Several models have such a network. Which one is it?"),
                [one.card.title for one in candidates],
            )
            if index is None:
                return None
            candidate = candidates[index]
        agreed = slicer.util.confirmOkCancelDisplay(candidate.sentence, _("Import checkpoint"))
        return candidate if agreed else None

    def _import(
        self,
        path: Path,
        examination: storage.Examination,
        candidate: storage.Candidate,
        onImported: Callable[[storage.ImportReport], None],
    ) -> TaskActivity:
        card = None if examination.brings_card else candidate.card.name

        def finished(report: storage.ImportReport) -> str:
            onImported(report)
            return _("Imported {title}.").format(title=report.card.title)

        return TaskActivity(
            storage.Task(
                lambda control: storage.import_model(path, self._folder, card=card, control=control)
            ),
            _("Importing {name}").format(name=path.name),
            finished,
        )
