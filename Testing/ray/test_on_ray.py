"""A cohort on a cluster of several nodes: what one computer makes of it, whatever happens."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("ray")
pytest.importorskip("PIL")
pytest.importorskip("onnxruntime")
import ray
from cohorts import batch, files, timeless, write_cohort, write_study
from troubled_workers import DeadlyWorker, EndlessWorker, MeetingWorker, StillbornWorker

import GDLACore
from GDLACore.cli import main
from GDLACore.cohort import ray_cluster, ray_pool
from GDLACore.cohort.identity import identity, model_card
from GDLACore.cohort.manifest import read_manifest
from GDLACore.cohort.on_ray import ray_process
from GDLACore.cohort.plan import Study, find_studies
from GDLACore.cohort.ray_worker import NodeWorker
from GDLACore.cohort.record import StudyRecord
from GDLACore.cohort.run import run_batch
from GDLACore.cohort.settings import BatchSettings
from GDLACore.errors import (
    EngineError,
    InstallationError,
    ModelFileError,
    OutputError,
    WorkerError,
)

pytestmark = pytest.mark.skipif("sys.platform == 'win32'", reason="Ray's clusters are not for it")


def results(out: Path) -> dict[str, bytes]:
    """Return what is in all files of ``out`` but the manifest, which tells seconds."""
    return {name: data for name, data in files(out).items() if name != "manifest.jsonl"}


def plan_of(folder: Path, count: int) -> list[Study]:
    for number in range(count):
        write_study(folder / f"case{number:02d}.nii.gz", number)
    return find_studies([folder])


@pytest.fixture
def settings(tmp_path: Path) -> BatchSettings:
    return BatchSettings(tmp_path / "out")


def test_all_files_are_bit_for_bit_those_that_one_computer_makes(cluster, tmp_path, capsys):
    inputs = write_cohort(tmp_path / "in", 5)
    here = batch(inputs, tmp_path / "here")
    there = tmp_path / "there"
    command = ["batch", str(inputs), "-o", str(there), "--quiet", "--ray"]
    assert main([*command, cluster.address]) == 1  # one of the studies is broken
    assert "1 of 6 studies could not be segmented" in capsys.readouterr().err
    records = read_manifest(there / "manifest.jsonl").values()
    assert timeless(list(records)) == timeless(here.records)
    assert results(there) == results(tmp_path / "here")
    lines = (there / "manifest.jsonl").read_text().splitlines()
    assert [json.loads(line)["name"] for line in lines] == [one.name for one in here.records]

    assert (
        main([*command[:-2], "--json", "--ray", "auto", "--ray-workers", "1"]) == 1
    )  # the rest, which is broken
    assert json.loads(capsys.readouterr().out)["kept"] == 5
    assert results(there) == results(tmp_path / "here")


def test_a_node_joins_and_is_killed_at_work_and_nothing_is_lost(
    cluster, tmp_path, settings, monkeypatch
):
    monkeypatch.setattr(ray_pool, "NodeWorker", MeetingWorker)
    plan = plan_of(tmp_path / "in", 8)
    (tmp_path / "in/nodes").write_text("3")
    doomed = []

    def studies() -> Iterator[Study]:
        for number, study in enumerate(plan):
            if number == 4:  # both nodes have what they can take, and wait for a third
                doomed.append(cluster.add_node())
                (tmp_path / f"in/stuck-{doomed[0].node_id}").touch()
            yield study

    def process(todo: Iterable[Study]) -> Iterator[StudyRecord]:
        assert list(todo) == plan
        records = ray_process(settings, cluster.address)(studies())
        for number, record in enumerate(records, start=1):
            yield record
            if number == len(plan) - 2:  # all but what the third node has
                cluster.kill(doomed[0])

    there = run_batch(plan, settings, process)
    assert (tmp_path / f"in/at-{doomed[0].node_id}").exists()
    here = batch(tmp_path / "in", tmp_path / "here")
    assert timeless(there.records) == timeless(here.records)
    assert results(settings.output) == results(tmp_path / "here")


def test_a_study_that_kills_its_workers_takes_no_other_with_it(
    cluster, tmp_path, settings, monkeypatch
):
    monkeypatch.setattr(ray_pool, "NodeWorker", DeadlyWorker)
    for name in ("a", "b", "deadly", "y", "z"):
        write_study(tmp_path / f"in/{name}.nii.gz")
    plan = find_studies([tmp_path / "in"])
    found = run_batch(plan, settings, ray_process(settings, cluster.address))
    assert [one.name for one in found.records if one.done] == ["a", "b", "y", "z"]
    (failed,) = found.failed
    assert failed.name == "deadly" and "3 workers one after the other" in str(failed.error)


def test_no_more_studies_are_taken_than_workers_can_hold(cluster, tmp_path, settings, monkeypatch):
    monkeypatch.setattr(ray_pool, "NodeWorker", EndlessWorker)
    # None is being written when the run is stopped.
    for number in range(5):
        write_study(tmp_path / f"in/endless{number}.nii.gz", number)
    plan = plan_of(tmp_path / "in", 4)
    ending = signal.getsignal(signal.SIGTERM)
    received = 0
    open_ones = []

    def studies() -> Iterator[Study]:
        for number, study in enumerate(plan, start=1):
            open_ones.append(number - received)
            yield study

    with closing(ray_process(settings, cluster.address, most_workers=1)(studies())) as records:
        for _ in range(4):
            assert next(records).done
            received += 1
            assert signal.getsignal(signal.SIGTERM) is ending
    assert max(open_ones) == 3  # one is computed, one is read, one is next
    # Stopped in the middle, nothing is left of it.
    assert not ray.is_initialized()
    assert not list(settings.output.glob(".*"))


def test_nothing_is_asked_of_the_cluster_for_no_studies(cluster, settings):
    assert list(ray_process(settings, cluster.address)([])) == []


# --- what cannot be -------------------------------------------------------------------------------


def test_nodes_with_another_version_are_refused(cluster, tmp_path, settings, monkeypatch):
    monkeypatch.setattr(GDLACore, "__version__", "99.0")
    with pytest.raises(InstallationError, match=r"has GDLACore .* and not 99\.0") as raised:
        list(ray_process(settings, cluster.address)(plan_of(tmp_path / "in", 1)))
    assert "same version on all nodes" in raised.value.hint
    assert not ray.is_initialized()


def test_workers_that_all_end_while_they_load_end_the_run(cluster, tmp_path, settings, monkeypatch):
    monkeypatch.setattr(ray_pool, "NodeWorker", StillbornWorker)
    monkeypatch.setattr(ray_pool, "_MOST_ENDS", 2)
    with pytest.raises(WorkerError, match="end while they load the model") as raised:
        list(ray_process(settings, cluster.address)(plan_of(tmp_path / "in", 1)))
    assert "installed on all nodes" in raised.value.hint


def load(settings: BatchSettings, release: str, *seen: Path, **other: str) -> None:
    expected = {**identity(settings, model_card(settings)), **other}
    NodeWorker().load(settings, release, expected, seen)


def test_a_node_with_another_model_is_refused(settings):
    with pytest.raises(ModelFileError, match=r"has another model demo-ct: the model's version \(0"):
        load(settings, GDLACore.__version__, version="0.0")


def test_a_node_that_does_not_see_images_or_results_is_refused(tmp_path, settings):
    with pytest.raises(OutputError, match=r"The node .* has no .*nowhere") as raised:
        load(settings, GDLACore.__version__, tmp_path, tmp_path / "nowhere")
    assert "file system that all nodes share" in raised.value.hint


def test_a_node_that_cannot_write_the_results_is_refused(settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(InstallationError, match=r"On the node .*: highdicom.* is not installed"):
        load(replace(settings, format="dcm"), GDLACore.__version__)


@pytest.mark.parametrize("address", ["head", "ray://head:10001", "head:port", ":6379", "h:99999"])
def test_what_is_no_address_is_refused_at_once(cluster, tmp_path, settings, address):
    with pytest.raises(WorkerError, match="is no address of a Ray cluster") as raised:
        list(ray_process(settings, address)(plan_of(tmp_path / "in", 1)))
    assert "HOST:PORT" in raised.value.hint


def test_where_nobody_answers_there_is_no_cluster(cluster, tmp_path, settings):
    with pytest.raises(WorkerError, match=r"No Ray cluster answers at 127\.0\.0\.1:1 "):
        list(ray_process(settings, "127.0.0.1:1")(plan_of(tmp_path / "in", 1)))


def test_without_ray_the_error_says_how_to_install_it(tmp_path, settings, monkeypatch):
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(ray_cluster.importlib, "import_module", missing)
    with pytest.raises(EngineError, match="Ray, .* is not installed") as raised:
        list(ray_process(settings)(plan_of(tmp_path / "in", 1)))
    assert "GDLACore[ray]" in raised.value.hint
