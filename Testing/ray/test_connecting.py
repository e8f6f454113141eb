"""Being connected to a cluster that has gone, does not answer, or is another than was meant."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("ray")
import ray

from GDLACore.cohort import ray_cluster
from GDLACore.cohort.on_ray import ray_process
from GDLACore.cohort.ray_cluster import connected
from GDLACore.cohort.settings import BatchSettings
from GDLACore.errors import WorkerError

pytestmark = pytest.mark.skipif("sys.platform == 'win32'", reason="Ray's clusters are not for it")

GONE = "127.0.0.1:1"


@pytest.fixture
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """A computer on which no process is Ray's, and which remembers nothing of one."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray._private.services, "find_gcs_addresses", frozenset)
    monkeypatch.setattr(ray._private.services, "find_bootstrap_address", lambda folder: None)


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A cluster that somebody listens for, and that never lets anybody in until it is set."""
    done = threading.Event()

    def wait(**_options: object) -> None:
        done.wait(30)

    monkeypatch.setattr(ray_cluster, "_check_address", lambda ray, address: None)
    monkeypatch.setattr(ray, "init", wait)
    yield done
    done.set()


def test_an_automatic_cluster_that_has_gone_is_told_before_anything_is_made(
    no_cluster, tmp_path, monkeypatch
):
    monkeypatch.setattr(ray._private.services, "find_bootstrap_address", lambda folder: GONE)
    with pytest.raises(WorkerError, match=r"No Ray cluster answers at 127\.0\.0\.1:1 "):
        ray_process(BatchSettings(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_address_in_the_environment_is_the_automatic_one(no_cluster, tmp_path, monkeypatch):
    for address, words in ((GONE, "No Ray cluster answers"), ("ray://h:1", "is no address")):
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(WorkerError, match=words):
            ray_process(BatchSettings(tmp_path / "out"))


@pytest.mark.parametrize("environment", [None, "", "auto"])
def test_where_no_cluster_was_ever_started_it_says_so(
    no_cluster, tmp_path, monkeypatch, environment
):
    if environment is not None:
        monkeypatch.setenv("RAY_ADDRESS", environment)
    with pytest.raises(WorkerError, match="No Ray cluster runs on this computer") as raised:
        ray_process(BatchSettings(tmp_path / "out"))
    assert "HOST:PORT" in raised.value.hint


def test_a_cluster_that_never_answers_is_given_up(silence, monkeypatch):
    monkeypatch.setattr(ray_cluster, "_CONNECTED_S", 0.05)
    with (
        pytest.raises(WorkerError, match=r"\(h:1\) cannot be used: no answer within 0\.05 s"),
        connected("h:1"),
    ):
        raise AssertionError("nobody is connected")


def test_ctrl_c_ends_the_waiting_for_a_cluster(silence, monkeypatch):
    user = threading.get_ident()

    def wait(**_options: object) -> None:
        signal.pthread_kill(user, signal.SIGINT)
        silence.wait(30)

    monkeypatch.setattr(ray, "init", wait)
    with pytest.raises(KeyboardInterrupt), connected("h:1"):
        raise AssertionError("nobody is connected")
    assert not silence.is_set()


@pytest.mark.parametrize(("before", "after"), [(None, "0"), ("1", "1")])
def test_nothing_is_sent_to_the_makers_of_ray_unless_the_user_said_so(
    silence, monkeypatch, before, after
):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", before or "")
    if before is None:
        monkeypatch.delenv("RAY_USAGE_STATS_ENABLED")
    silence.set()
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with connected("h:1"):
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == after
