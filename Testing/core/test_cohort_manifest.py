"""Records as lines, and the file of them: torn, damaged, of another version."""

from __future__ import annotations

import json
import logging

import pytest

from GDLACore.cohort.manifest import OpenManifest, read_manifest, write_manifest
from GDLACore.cohort.record import StudyRecord
from GDLACore.errors import OutputError

DONE = StudyRecord(
    "site/case é\n\u2028",
    "done",
    "/in/case.nii.gz",
    "2",
    "ab" * 32,
    "segmentations/site/case.seg.nrrd",
    "cd" * 32,
    {"reading": 0.5, "segmenting": 1.25, "writing": 0.125},
    {"liver": 1500.5, "spleen": 0.0},
    0.125,
    ("It shows neither air nor fat.",),
)
FAILED = StudyRecord("b", "failed", "/in/b", error="It is damaged.", error_kind="VolumeError")


@pytest.mark.parametrize("record", [DONE, FAILED])
def test_a_record_is_one_line_and_comes_back_the_same(record):
    line = record.to_line()
    assert len(line.splitlines()) == 1
    assert StudyRecord.from_line(line) == record


def changed(**fields: object) -> str:
    return json.dumps({**json.loads(DONE.to_line()), **fields})


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "{}",
        "null",
        "[" * 100_000,
        changed(name=""),
        changed(name=3),
        changed(status="almost"),
        changed(output_sha256=None),
        changed(input_sha256=None),
        changed(seconds={"reading": "long"}),
        changed(volumes_ml={"liver": True}),
        changed(volumes_ml=[]),
        changed(doubt="much"),
        changed(warnings="one"),
        changed(warnings=[1]),
        DONE.to_line()[:-5],
    ],
    ids=range(18),
)
def test_other_lines_are_refused(line):
    with pytest.raises(OutputError, match="damaged"):
        StudyRecord.from_line(line)


def test_a_record_of_another_version_is_still_that_study_s():
    data = json.loads(DONE.to_line())
    del data["warnings"]
    assert StudyRecord.from_line(json.dumps({**data, "mood": "good"})).name == DONE.name


def test_what_was_added_is_read_and_the_last_of_a_name_counts(tmp_path):
    path = tmp_path / "manifest.jsonl"
    with OpenManifest(path) as manifest:
        manifest.add(FAILED)
        manifest.add(DONE)
    later = StudyRecord("b", "failed", "/in/b", error="Still.", error_kind="VolumeError")
    with OpenManifest(path) as manifest:
        manifest.add(later)
    assert read_manifest(path) == {"b": later, DONE.name: DONE}


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_torn_last_line_is_dropped_and_spoils_no_other(tmp_path, caplog, share):
    path = tmp_path / "manifest.jsonl"
    write_manifest(path, [FAILED])
    whole = DONE.to_line().encode()
    path.write_bytes(path.read_bytes() + whole[: max(1, int(len(whole) * share))])
    with OpenManifest(path) as manifest:
        manifest.add(DONE)
    with caplog.at_level(logging.WARNING):
        assert read_manifest(path) == {"b": FAILED, DONE.name: DONE}
    assert "1 damaged line" in caplog.text


def test_a_line_that_lacks_only_its_end_counts(tmp_path):
    path = tmp_path / "manifest.jsonl"
    path.write_text(FAILED.to_line())
    with OpenManifest(path) as manifest:
        manifest.add(DONE)
    assert set(read_manifest(path)) == {"b", DONE.name}


def test_no_manifest_is_an_empty_one(tmp_path):
    assert read_manifest(tmp_path / "manifest.jsonl") == {}


def test_a_manifest_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "manifest.jsonl").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        OpenManifest(tmp_path / "manifest.jsonl")
    with pytest.raises(OutputError, match="cannot be read"):
        read_manifest(tmp_path / "manifest.jsonl")
