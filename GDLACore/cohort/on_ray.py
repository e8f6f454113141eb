"""A cohort on a Ray cluster: studies handed out as workers can take them, and none of them lost."""

from __future__ import annotations

import secrets
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from operator import length_hint
from pathlib import Path

from GDLACore.atomic import unwritable
from GDLACore.cohort.files import make_folder
from GDLACore.cohort.identity import identity, model_card
from GDLACore.cohort.plan import Study
from GDLACore.cohort.ray_cluster import check_cluster, connected
from GDLACore.cohort.ray_pool import PoolWorker, RayPool
from GDLACore.cohort.record import CRASH, FAILED, StudyRecord
from GDLACore.cohort.run import Process
from GDLACore.cohort.settings import BatchSettings

_MOST_TRIES = 3
_TURN_S = 1.0  # after which nodes that have come are found
_UNKNOWN = 1_000_000  # studies, where nobody can say how many there are


def ray_process(
    settings: BatchSettings, address: str = "auto", *, most_workers: int | None = None
) -> Process:
    """Return a process that has the Ray cluster at ``address`` segment as ``settings`` say.

    Each worker has a GPU to itself if the cluster has any and ``settings.device`` allows it, else
    ``settings.threads`` cores of a CPU, one if it is None. There are as many as find a place, of
    which more are asked for while there is work, but never more than ``most_workers``. A study is
    taken from the plan only when a worker has room for it: at most two for each. A study whose
    worker is lost, with its node or alone, is given to another; if it loses three, it has failed.

    Raises EngineError if Ray is not installed, WorkerError if there is no cluster at ``address``.
    So does the process, and, if no worker at all can be loaded, what ``NodeWorker.load`` raises.
    GDLACore, of this version, must be installed on all nodes, and see images and results under the
    same path.
    """
    check_cluster(address)

    def process(studies: Iterable[Study]) -> Generator[StudyRecord, None, None]:
        todo = _Todo(studies)
        expected = identity(settings, model_card(settings))
        with _marked(settings.output) as mark, connected(address) as ray:
            with closing(RayPool(ray, settings, expected, (mark, *todo.first_path()))) as pool:
                while todo or any(worker.studies for worker in pool.workers):
                    busy = sum(len(worker.studies) for worker in pool.workers)
                    pool.hire(min(todo.left + busy, most_workers or _UNKNOWN))
                    _hand_out(todo, pool)
                    records, lost = pool.wait(_TURN_S)
                    yield from records
                    for study in lost:
                        if todo.take_back(study) == _MOST_TRIES:
                            yield _failed(study)

    return process


class _Todo:
    """The studies that nobody works on."""

    def __init__(self, studies: Iterable[Study]) -> None:
        self._fresh: Iterator[Study] = iter(studies)
        self._count = length_hint(studies, _UNKNOWN)
        self._next = next(self._fresh, None)
        self._losses: Counter[str] = Counter()
        self.lost: deque[Study] = deque()

    def __bool__(self) -> bool:
        return self._next is not None or bool(self.lost)

    @property
    def left(self) -> int:
        """Return how many there are; too many where nobody knows."""
        return len(self.lost) + (0 if self._next is None else max(1, self._count))

    def first_path(self) -> tuple[Path, ...]:
        """Return where the first study lies; nothing if there is none, or it has gone."""
        return (self._next.path,) if self._next is not None and self._next.path.exists() else ()

    def fresh(self) -> Study | None:
        """Return a study that nobody has worked on yet; None if there is none any more."""
        study, self._next = self._next, next(self._fresh, None)
        self._count -= 1
        return study

    def take_back(self, study: Study) -> int:
        """Return how often ``study`` has lost its worker; it waits for another if it may."""
        self._losses[study.name] += 1
        if self._losses[study.name] < _MOST_TRIES:
            self.lost.append(study)
        return self._losses[study.name]


def _hand_out(todo: _Todo, pool: RayPool) -> None:
    """Give studies to the workers with room, to those with the fewest first.

    A study that lost its worker gets one that does nothing else, for it may be what kills workers:
    so it takes no other study with it. The workers that are to have it get nothing until they are
    idle.
    """
    free = sorted((one for one in pool.workers if one.has_room), key=_load)
    for _ in range(min(len(todo.lost), len(free))):
        worker = free.pop(0)
        if not worker.studies:
            pool.give(worker, todo.lost.popleft(), alone=True)
    while free and (study := todo.fresh()) is not None:
        pool.give(min(free, key=_load), study, alone=False)
        free = [one for one in free if one.has_room]


def _load(worker: PoolWorker) -> int:
    return len(worker.studies)


@contextmanager
def _marked(output: Path) -> Iterator[Path]:
    """Yield a file in ``output``, by which nodes know that it is the same folder for them.

    Its name is one that the next run clears away if this one is killed.
    """
    make_folder(output)
    mark = output / f".{secrets.token_hex(8)}.part"
    try:
        mark.touch()
    except OSError as error:
        raise unwritable(mark, error) from error
    try:
        yield mark
    finally:
        with suppress(OSError):
            mark.unlink()


def _failed(study: Study) -> StudyRecord:
    return StudyRecord(
        study.name,
        FAILED,
        str(study.path),
        study.series,
        error=f"{_MOST_TRIES} workers one after the other were lost while they segmented it: it "
        "may need more memory than a node has.",
        error_kind=CRASH,
    )
