"""The folder of a cohort's results: whose it is, and what is refused before it is touched."""

from __future__ import annotations

import dataclasses
import shutil
import sys

import pytest

pytest.importorskip("PIL")
from cohort_fixtures import counting_engine, output, small_cohort  # noqa: F401
from cohorts import (
    CountingEngine,
    batch,
    files,
    process_here,
    use_engine,
    write_study,
)
from phantom import make_card

from GDLACore.cohort import identity
from GDLACore.cohort.output_folder import open_output
from GDLACore.cohort.plan import Study, find_studies
from GDLACore.cohort.run import run_batch
from GDLACore.cohort.settings import BatchSettings
from GDLACore.errors import OutputError, WorkerError

WITH_LINKS = pytest.mark.skipif(sys.platform == "win32", reason="it makes no links")


def test_another_study_of_the_same_name_is_refused(cohort, out, engine, tmp_path):
    batch(cohort, out)
    other = tmp_path / "other"
    write_study(other / "site0/case00.nii.gz", 9)
    before = files(out)
    with pytest.raises(OutputError, match="under the name site0/case00") as caught:
        batch(other, out)
    assert str(other) in caught.value.message and caught.value.hint
    assert files(out) == before
    assert batch(other, out, overwrite=True).kept == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"borders": "published"}, "the borders (smooth, now published)"),
        ({"largest_component": True}, "largest component"),
        ({"format": "nii.gz"}, "the format (seg.nrrd, now nii.gz)"),
    ],
)
def test_other_settings_are_refused_before_anything_is_touched(
    cohort, out, engine, settings, words
):
    batch(cohort, out)
    before = files(out)
    with pytest.raises(OutputError) as caught:
        batch(cohort, out, **settings)
    assert words in caught.value.message and "--force" in caught.value.hint
    assert files(out) == before
    replaced = batch(cohort, out, overwrite=True, **settings)
    assert replaced.kept == 0
    recorded = {record.output for record in replaced.records if record.done}
    present = {name for name in files(out) if name.startswith("segmentations")}
    assert present == recorded


def test_settings_may_change_as_long_as_no_study_was_begun(cohort, out, engine):
    def unreachable(studies):
        raise WorkerError("No Ray cluster answers.", "")
        yield

    plan = find_studies([cohort])
    with pytest.raises(WorkerError):
        run_batch(plan, BatchSettings(out), unreachable)
    assert len(batch(cohort, out, format="nii.gz").records) == 4
    with pytest.raises(OutputError, match="made with other settings"):
        batch(cohort, out)


@pytest.mark.parametrize("left", ["a line of the manifest", "a segmentation"])
def test_settings_may_not_change_where_anything_was_made(cohort, out, engine, left):
    batch(cohort, out)
    manifest = out / "manifest.jsonl"
    if left == "a segmentation":
        manifest.write_bytes(b"")
    else:
        shutil.rmtree(out / "segmentations")
        manifest.write_bytes(manifest.read_bytes()[:40])
    with pytest.raises(OutputError, match="made with other settings"):
        batch(cohort, out, format="nii.gz")


def test_another_model_is_another_setting_and_another_device_is_none(
    cohort, out, engine, monkeypatch
):
    batch(cohort, out)
    assert batch(cohort, out, device="cuda", threads=7).kept == 3
    use_engine(monkeypatch, CountingEngine(dataclasses.replace(make_card(), version="1.3")))
    with pytest.raises(OutputError, match=r"the model's version \(1.2, now 1.3\)"):
        batch(cohort, out)


def test_a_folder_with_something_else_is_refused(cohort, out, engine):
    out.mkdir()
    (out / "thesis.doc").write_text("years of work")
    with pytest.raises(OutputError, match="not empty"):
        batch(cohort, out)
    assert sorted(files(out)) == [".lock", "thesis.doc"]
    batch(cohort, out, overwrite=True)
    assert (out / "thesis.doc").read_text() == "years of work"


def test_force_removes_nothing_outside_the_results(cohort, out, engine, tmp_path):
    batch(cohort, out)
    treasure = tmp_path / "treasure"
    treasure.write_text("mine")
    text = (out / "manifest.jsonl").read_text()
    (out / "manifest.jsonl").write_text(
        text.replace("segmentations/site0/case00.seg.nrrd", "segmentations/../../treasure")
    )
    batch(cohort, out, overwrite=True, borders="published")
    assert treasure.read_text() == "mine"


def test_damaged_settings_are_refused(cohort, out, engine):
    batch(cohort, out)
    (out / "settings.json").write_text("{")
    with pytest.raises(OutputError, match="settings.json"):
        batch(cohort, out)
    assert batch(cohort, out, overwrite=True).kept == 0


def test_two_runs_in_one_folder_are_refused(cohort, out, engine):
    settings = BatchSettings(out)
    with open_output(settings, engine.card, overwrite=False):
        with pytest.raises(OutputError, match="Another run is writing"):
            batch(cohort, out)
    assert len(batch(cohort, out).records) == 4


def test_what_a_killed_run_left_half_written_is_cleared_away(cohort, out, engine):
    batch(cohort, out)
    left = [out / f"segmentations/site0/.{'a' * 16}.part", out / f".{'0' * 16}.part"]
    for path in left:
        path.write_text("half")
    mine = out / "segmentations/.notes.part"
    mine.write_text("mine")
    batch(cohort, out)
    assert not any(path.exists() for path in left) and mine.exists()


@WITH_LINKS
@pytest.mark.parametrize("overwrite", [False, True])
def test_images_in_the_folder_of_the_results_are_refused_and_stay(out, engine, overwrite):
    path = write_study(out / "segmentations/a.nii.gz")
    before = files(out)
    settings = BatchSettings(out, format="nii.gz")
    plan = [Study("a", path)]
    with pytest.raises(OutputError, match=r"a\.nii\.gz lies in .*out"):
        run_batch(plan, settings, process_here(settings), overwrite=overwrite)
    link = out.with_name("link.nii.gz")
    link.symlink_to(path)
    with pytest.raises(OutputError, match="lies in"):
        run_batch([Study("a", link)], settings, process_here(settings), overwrite=overwrite)
    assert files(out) == before


def test_nothing_is_cleared_away_in_a_folder_that_is_not_ours(cohort, out, engine):
    out.mkdir()
    (out / "thesis.doc").write_text("years of work")
    part = out / f".{'a' * 16}.part"
    part.write_text("half")
    with pytest.raises(OutputError, match="not empty"):
        batch(cohort, out)
    assert part.exists()


def test_a_run_that_was_killed_before_it_began_goes_on(cohort, out, engine):
    out.mkdir()
    part = out / f".{'a' * 16}.part"
    part.write_text("half")
    assert len(batch(cohort, out).records) == 4 and not part.exists()


def test_a_file_that_joins_what_a_server_made_is_the_only_one_from_there_on(
    cohort, out, engine, monkeypatch
):
    def use_file(sha256: str) -> None:
        monkeypatch.setattr(identity, "_exported_file", lambda settings: sha256)

    for sha256 in ("", "aa", ""):
        use_file(sha256)
        batch(cohort, out)
    use_file("bb")
    with pytest.raises(OutputError, match="the model's file changed"):
        batch(cohort, out)
