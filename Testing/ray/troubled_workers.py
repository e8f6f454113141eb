"""Workers of which something is known or wrong, as the files beside the studies say.

They run on the nodes, which find this file by their PYTHONPATH.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import ray

from GDLACore.cohort.plan import Study
from GDLACore.cohort.ray_worker import NodeWorker
from GDLACore.cohort.record import StudyRecord

_PATIENCE_S = 300.0


class MeetingWorker(NodeWorker):
    """Works only once several nodes have begun, and on the node ``stuck-NODE`` never does."""

    def run(self, study: Study) -> StudyRecord:
        """Do as ``NodeWorker`` does, at last."""
        folder, node = study.path.parent, ray.get_runtime_context().get_node_id()
        (folder / f"at-{node}").touch()
        if (folder / f"stuck-{node}").exists():
            threading.Event().wait()
        _wait_for(folder, int((folder / "nodes").read_text()))
        return super().run(study)


def _wait_for(folder: Path, nodes: int) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while len(list(folder.glob("at-*"))) < nodes:
        if time.monotonic() > deadline:
            raise TimeoutError(f"fewer than {nodes} nodes have begun")
        threading.Event().wait(0.02)


class DeadlyWorker(NodeWorker):
    """Dies of a study that is called so."""

    def run(self, study: Study) -> StudyRecord:
        """Do as ``NodeWorker`` does, or die."""
        if "deadly" in study.name:
            os._exit(1)
        return super().run(study)


class EndlessWorker(NodeWorker):
    """Never begins with a study that is called so."""

    def run(self, study: Study) -> StudyRecord:
        """Do as ``NodeWorker`` does, or wait."""
        if "endless" in study.name:
            threading.Event().wait()
        return super().run(study)


class StillbornWorker(NodeWorker):
    """Dies while it loads."""

    def load(self, *arguments: object) -> str:
        """Die."""
        os._exit(1)
