"""What of a cluster's nodes each worker gets, and how many find a place."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from GDLACore.cohort.ray_cluster import Share, share_of
from GDLACore.cohort.ray_pool import RayPool
from GDLACore.cohort.settings import BatchSettings
from GDLACore.errors import OutputError
from GDLACore.remote import RemoteServer

HEAD = {"memory": 1e9}
CPU_NODE = {"CPU": 7.0, "memory": 1e9}
GPU_NODE = {"CPU": 6.0, "GPU": 4.0, "accelerator_type:T4": 1.0}
SERVER = RemoteServer("http://127.0.0.1:8000")


def cluster(*nodes: dict[str, float], gone: tuple[dict[str, float], ...] = ()) -> SimpleNamespace:
    """Return what Ray says of its nodes."""
    told = [{"Alive": True, "Resources": node} for node in nodes]
    told += [{"Alive": False, "Resources": node} for node in gone]
    return SimpleNamespace(nodes=lambda: told)


class ScriptedRay:
    """A cluster of one core, where workers load as ``outcomes`` say: a device, or an error."""

    class exceptions:
        class RayError(Exception):
            pass

        class RayTaskError(RayError):
            def __init__(self, cause: Exception) -> None:
                self.cause = cause

    def __init__(self, *outcomes: str | Exception) -> None:
        self._outcomes = list(outcomes)
        self.nodes = cluster(CPU_NODE | {"CPU": 1.0}).nodes

    def remote(self, kind: type) -> SimpleNamespace:
        def actor() -> SimpleNamespace:
            return SimpleNamespace(load=SimpleNamespace(remote=lambda *_: object()))

        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=actor))

    def wait(self, answers: list[object], *, num_returns: int, timeout: float) -> tuple:
        return answers[: len(self._outcomes)], []

    def get(self, answer: object) -> str:
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise self.exceptions.RayTaskError(outcome)
        return outcome

    def kill(self, actor: object) -> None:
        pass


def test_a_worker_that_could_not_load_costs_no_place_once_another_can():
    error = OutputError("The node has no archive.", "Mount it.")
    pool = RayPool(ScriptedRay(error, "CPU"), BatchSettings(Path("/out")), {}, ())
    pool.hire(9)
    assert len(pool.workers) == 2  # one has a place, and one waits for the next
    pool.wait(0)
    assert len(pool.workers) == 1
    pool.hire(9)
    assert len(pool.workers) == 2


@pytest.mark.parametrize(
    ("nodes", "settings", "share", "places"),
    [
        ([HEAD, CPU_NODE, CPU_NODE], {}, Share(1, 0), 14),
        ([HEAD, CPU_NODE, CPU_NODE], {"threads": 3}, Share(3, 0), 4),  # no worker on two nodes
        ([HEAD, CPU_NODE, GPU_NODE], {}, Share(1, 1), 4),
        ([HEAD, CPU_NODE, GPU_NODE], {"threads": 2}, Share(2, 1), 3),
        ([HEAD, CPU_NODE, GPU_NODE], {"device": "cpu"}, Share(1, 0), 13),
        ([HEAD, CPU_NODE, GPU_NODE], {"server": SERVER}, Share(1, 0), 13),
        ([HEAD, CPU_NODE], {"device": "cuda"}, Share(1, 1), 0),  # until such a node joins
        ([HEAD], {}, Share(1, 0), 0),
    ],
)
def test_all_workers_get_the_same_and_no_more_than_one_node_has(nodes, settings, share, places):
    ray = cluster(*nodes, gone=(GPU_NODE,))
    found = share_of(BatchSettings(Path("/out"), **settings), ray)
    assert found == share
    assert found.places(ray) == places


def test_shares_are_told_in_words():
    assert str(Share(1, 0)) == "1 CPU core"
    assert str(Share(3, 1)) == "3 CPU cores and a GPU"
