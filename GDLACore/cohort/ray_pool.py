"""The workers on a cluster: asked for as long as there is work, and found lost when they are."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import GDLACore
from GDLACore.cohort.identity import Identity
from GDLACore.cohort.plan import Study
from GDLACore.cohort.ray_cluster import share_of
from GDLACore.cohort.ray_worker import NodeWorker
from GDLACore.cohort.record import StudyRecord
from GDLACore.cohort.settings import BatchSettings
from GDLACore.errors import GDLAError, WorkerError

_LOG = logging.getLogger(__name__)

# One is read while the other computes.
STUDIES_AT_A_TIME = 2

_SILENCE_S = 30.0
_MOST_ENDS = 10


@dataclass(eq=False)
class PoolWorker:
    """A worker that was asked for; ``loading`` until it has a node and its model.

    ``studies`` by the answers that are awaited. ``alone``: it gets no second study.
    """

    actor: Any
    loading: Any
    studies: dict[Any, Study] = field(default_factory=dict)
    alone: bool = False

    @property
    def has_room(self) -> bool:
        """Return whether it may be given another study."""
        return self.loading is None and not self.alone and len(self.studies) < STUDIES_AT_A_TIME


class RayPool:
    """Workers that segment as ``settings`` say, all with the same model and settings: ``expected``.

    ``ray`` is the module, connected. ``seen`` are paths that every node must have. Call ``close``.
    """

    def __init__(
        self, ray: Any, settings: BatchSettings, expected: Identity, seen: Sequence[Path]
    ) -> None:
        self._ray = ray
        self._share = share_of(settings, ray)
        settings = replace(settings, threads=self._share.cores)
        self._load = (settings, GDLACore.__version__, expected, tuple(seen))
        self._actor = ray.remote(NodeWorker).options(
            num_cpus=self._share.cores,
            num_gpus=self._share.gpus,
            max_concurrency=STUDIES_AT_A_TIME,
            scheduling_strategy="SPREAD",
        )
        self._failures = 0
        self._failure: GDLAError | None = None
        self._ends = 0  # in a row: nodes that are about to leave take some with them
        self._devices: set[str] = set()
        self._silent_since: float | None = time.monotonic()
        self.workers: list[PoolWorker] = []

    def hire(self, most: int) -> None:
        """Ask for workers, ``most`` at most: all that nodes have room for, and one more.

        That one waits for a node that the cluster's autoscaler starts, or somebody leaves. Each
        worker that could not load makes it one less, and if many end while they load it is none.
        When there are none left, raises what was wrong with the last.
        """
        wanted = self._share.places(self._ray) + 1 - self._failures
        if self._ends >= _MOST_ENDS:
            wanted = 0
        if wanted < 1 and not self.workers and self._failure is not None:
            raise self._failure
        for _ in range(min(wanted, most) - len(self.workers)):
            actor = self._actor.remote()
            self.workers.append(PoolWorker(actor, actor.load.remote(*self._load)))
        self._warn_of_silence()

    def give(self, worker: PoolWorker, study: Study, *, alone: bool) -> None:
        """Have ``worker`` do ``study``."""
        worker.studies[worker.actor.run.remote(study)] = study
        worker.alone = alone

    def wait(self, seconds: float) -> tuple[list[StudyRecord], list[Study]]:
        """Return what has come of studies within ``seconds``, and those whose worker was lost."""
        by_answer = {
            answer: worker
            for worker in self.workers
            for answer in ([worker.loading] if worker.loading is not None else worker.studies)
        }
        answers = list(by_answer)
        ready, _ = self._ray.wait(answers, num_returns=1, timeout=seconds)
        # Whatever else is there by now, so that a worker is not kept waiting for the next turn.
        ready, _ = self._ray.wait(answers, num_returns=len(answers), timeout=0)
        records: list[StudyRecord] = []
        lost: list[Study] = []
        for answer in ready:
            worker = by_answer[answer]
            if worker not in self.workers:  # lost with another of its studies
                continue
            if worker.loading is not None:
                self._loaded(worker)
            elif (record := self._record(worker, answer)) is not None:
                records.append(record)
            else:
                lost += worker.studies.values()
                self._dismiss(worker)
        return records, lost

    def close(self) -> None:
        """End all workers, whatever they are at."""
        for worker in list(self.workers):
            self._dismiss(worker)

    def _loaded(self, worker: PoolWorker) -> None:
        try:
            device = self._ray.get(worker.loading)
        except self._ray.exceptions.RayTaskError as error:
            self._failures += 1
            self._failure = _in_words(error.cause)
            self._dismiss(worker)
        except self._ray.exceptions.RayError as error:
            _LOG.info("A worker ended while it loaded.", exc_info=error)
            self._ends += 1
            self._failure = WorkerError(
                "The workers on the cluster end while they load the model.",
                "Is GDLACore installed on all nodes? Ray's logs of the workers say more.",
            )
            self._dismiss(worker)
        else:
            worker.loading = None
            self._ends = self._failures = 0
            self._silent_since = None
            if self._devices and device not in self._devices:
                _LOG.warning(
                    "Not all workers compute on the same: %s, and %s. Single voxels may differ.",
                    min(self._devices),
                    device,
                )
            self._devices.add(device)

    def _record(self, worker: PoolWorker, answer: Any) -> StudyRecord | None:
        """Return what came of a study; None if its worker was lost with it."""
        try:
            record = self._ray.get(answer)
        except self._ray.exceptions.RayError as error:
            _LOG.info("A worker was lost.", exc_info=error)
            return None
        del worker.studies[answer]
        worker.alone = False
        return record

    def _dismiss(self, worker: PoolWorker) -> None:
        # Also one that is called lost: one that nobody can reach may still be at work.
        self._ray.kill(worker.actor)
        self.workers.remove(worker)
        if all(one.loading is not None for one in self.workers):
            self._silent_since = self._silent_since or time.monotonic()

    def _warn_of_silence(self) -> None:
        if self._silent_since and time.monotonic() - self._silent_since > _SILENCE_S:
            self._silent_since = float("inf")  # once
            _LOG.warning(
                "The cluster has had no place for a worker for %.0f s: each takes %s of a node.",
                _SILENCE_S,
                self._share,
            )


def _in_words(error: Exception) -> GDLAError:
    if isinstance(error, GDLAError):
        return error
    return WorkerError(f"A worker cannot load the model: {type(error).__name__}: {error}.")
