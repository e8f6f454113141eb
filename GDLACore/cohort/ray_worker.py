"""What runs on a cluster's node: a StudyWorker that is sure to do what the others do."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

import GDLACore
from GDLACore.cohort.identity import Identity, differences, identity, model_card
from GDLACore.cohort.packages import check_packages
from GDLACore.cohort.plan import Study
from GDLACore.cohort.record import StudyRecord
from GDLACore.cohort.settings import BatchSettings
from GDLACore.cohort.worker import StudyWorker
from GDLACore.errors import InstallationError, ModelFileError, OutputError


class NodeWorker:
    """A Ray actor. Nothing is done when it is made: what goes wrong then has no words in Ray."""

    def load(
        self, settings: BatchSettings, version: str, expected: Identity, seen: Sequence[Path]
    ) -> str:
        """Load the model, and return which device computes, in words.

        Raises, before a study is lost to it, InstallationError if this node has another version of
        GDLACore or lacks a package, OutputError if it does not see the paths ``seen``,
        ModelFileError if its model is not the ``expected`` one, and what ``load_engine`` raises.
        """
        node = socket.gethostname()
        if GDLACore.__version__ != version:
            raise InstallationError(
                f"The node {node} has GDLACore {GDLACore.__version__} and not {version}.",
                "Install the same version on all nodes of the cluster.",
            )
        for path in seen:
            if not path.exists():
                raise OutputError(
                    f"The node {node} has no {path}.",
                    "Images and results must be on a file system that all nodes share, and that "
                    "has the same path on each.",
                )
        try:
            check_packages(settings)
        except OutputError as error:
            raise InstallationError(f"On the node {node}: {error.message}", error.hint) from error
        if differing := differences(expected, identity(settings, model_card(settings))):
            raise ModelFileError(
                f"The node {node} has another model {settings.model}: {differing} changed.",
                "Give the path of a model file that all nodes share.",
            )
        self._worker = StudyWorker(settings)
        return self._worker.describe()

    def run(self, study: Study) -> StudyRecord:
        """Return what ``StudyWorker.run`` returns; a second study is read while one computes."""
        return self._worker.run(study)
