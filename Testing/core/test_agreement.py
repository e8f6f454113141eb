"""What became of the model's masks when they were corrected, in millilitres, Dice and voxels."""

from __future__ import annotations

import csv
import os
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from GDLACore.errors import OutputError
from GDLACore.review import agreement_file
from GDLACore.review.agreement import (
    TOTAL,
    Agreement,
    AgreementReport,
    agreement_report,
    count_voxels,
)
from GDLACore.review.agreement_file import COLUMNS, append_agreements

NOISE = np.random.default_rng(5)
MODEL = NOISE.integers(0, 4, (5, 6, 7)).astype(np.uint8)


def masks(layers: list[tuple[np.ndarray, dict[int, int]]], label: int) -> np.ndarray:
    """Return the corrected mask of ``label``, found in the plainest way."""
    for layer, values in layers:
        if label in values:
            return layer == values[label]
    return np.zeros(MODEL.shape, bool)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16, np.int32])
def test_voxels_are_counted_in_either_mask_and_in_both_however_segments_are_stored(kind):
    layers = [
        (NOISE.integers(0, 5, MODEL.shape).astype(kind), {1: 3, 2: 1}),  # 2 and 4 are others'
        (NOISE.integers(0, 2, MODEL.shape).astype(kind), {3: 1}),  # overlaps the first
    ]
    labels = [1, 2, 3, 7]  # nobody has a segment for the last
    expected = [
        [
            (MODEL == label).sum(),
            masks(layers, label).sum(),
            ((MODEL == label) & masks(layers, label)).sum(),
        ]
        for label in labels
    ]
    parts = list(count_voxels(MODEL, layers, labels))
    assert len(parts) == 3, "a busy window waits for one layer at a time"
    assert parts[0].dtype == np.int64
    np.testing.assert_array_equal(sum(parts), expected)


def test_nothing_to_count_is_no_error():
    np.testing.assert_array_equal(sum(count_voxels(MODEL, [], [])), np.zeros((0, 3)))
    np.testing.assert_array_equal(sum(count_voxels(MODEL[:0], [], [1])), [[0, 0, 0]])


def test_labels_may_be_any_of_those_that_fit_the_type():
    wide = MODEL.astype(np.uint16)
    wide[MODEL == 3] = 65_535
    found = sum(count_voxels(wide, [(wide, {65_535: 65_535})], [65_535]))
    np.testing.assert_array_equal(found, [[(MODEL == 3).sum()] * 3])


def test_what_the_counts_mean():
    counts = np.array([[[10, 12, 8], [0, 0, 0]], [[0, 3, 0], [5, 0, 0]]])
    report = agreement_report("demo-ct", "1.2", "all", counts, ["liver", "spleen"], 0.5)
    assert report == AgreementReport("demo-ct", "1.2", "all", 2, report.agreements)
    assert report.agreements == (
        Agreement("liver", 5.0, 7.5, 16 / 25, added=7, removed=2),
        Agreement("spleen", 2.5, 0.0, 0.0, added=0, removed=5),
        Agreement(TOTAL, 7.5, 7.5, 16 / 30, added=7, removed=7),
    )


def test_two_empty_masks_have_no_dice():
    report = agreement_report("m", "", "all", np.zeros((1, 1, 3), np.int64), ["liver"], 1.0)
    assert report.agreements[0] == Agreement("liver", 0.0, 0.0, None, 0, 0)


REPORT = agreement_report(
    *("demo-ct", "1.2", "reviewed", np.array([[[1000, 1200, 900], [0, 0, 0]]])),
    *(["liver", "milt, 肝"], 0.25),
)
DAY = date(2031, 5, 4)


def rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def test_the_list_has_a_row_for_each_agreement(tmp_path):
    path = tmp_path / "agreement.csv"
    append_agreements(path, [REPORT], DAY)
    assert rows(path) == [
        list(COLUMNS),
        [
            *("2031-05-04", "demo-ct", "1.2", "reviewed", "1", "liver"),
            *("250.000", "300.000", "0.8182", "300", "100"),
        ],
        [
            *("2031-05-04", "demo-ct", "1.2", "reviewed", "1", "milt, 肝"),
            *("0.000", "0.000", "", "0", "0"),
        ],
        [
            *("2031-05-04", "demo-ct", "1.2", "reviewed", "1", TOTAL),
            *("250.000", "300.000", "0.8182", "300", "100"),
        ],
    ]
    assert path.read_bytes().startswith(b"\xef\xbb\xbfdate,"), "as spreadsheets want it"


def test_a_name_that_a_spreadsheet_would_compute_stays_a_text(tmp_path):
    path = tmp_path / "agreement.csv"
    names = ["=HYPERLINK(A1)", "+1", "-1", "@SUM(A1)", "\t=1", "left = right"]
    counts = np.zeros((1, len(names), 3), np.int64)
    report = agreement_report("=model", "=1", "all", counts, names, 0.25)
    append_agreements(path, [report], DAY)
    found = rows(path)[1:]
    quoted = ["'=HYPERLINK(A1)", "'+1", "'-1", "'@SUM(A1)", "'\t=1", "left = right", TOTAL]
    assert [row[5] for row in found] == quoted
    assert {tuple(row[1:3]) for row in found} == {("'=model", "'=1")}


def test_the_list_grows_and_what_was_in_it_stays(tmp_path):
    path = tmp_path / "agreement.csv"
    path.touch()  # an empty file is as good as none
    append_agreements(path, [REPORT], DAY)
    first = path.read_bytes()
    append_agreements(path, [REPORT, REPORT], date(2031, 5, 5))
    assert path.read_bytes().startswith(first)
    assert [row[0] for row in rows(path)[1:]] == ["2031-05-04"] * 3 + ["2031-05-05"] * 6
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "content", [b"name,age\n", b"\xff\xfe\x00\x01", b"date,model\n", b'"' + b"x" * 200_000]
)
def test_a_file_that_holds_something_else_is_left_alone(tmp_path, content):
    path = tmp_path / "patients.csv"
    path.write_bytes(content)
    with pytest.raises(OutputError, match="holds something else") as refused:
        append_agreements(path, [REPORT], DAY)
    assert "another file" in refused.value.hint and path.read_bytes() == content


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        append_agreements(tmp_path / "nowhere" / "agreement.csv", [REPORT], DAY)
    with pytest.raises(OutputError, match="cannot be written"):
        append_agreements(tmp_path, [REPORT], DAY)


def test_a_full_disk_is_told_and_what_was_in_the_list_stays(tmp_path, monkeypatch):
    path = tmp_path / "agreement.csv"
    append_agreements(path, [REPORT], DAY)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        append_agreements(path, [REPORT], DAY)
    assert path.read_bytes().startswith(before) and list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="no such modes there")
def test_who_may_write_the_list_stays_and_so_does_a_link_to_it(tmp_path):
    path, link = tmp_path / "agreement.csv", tmp_path / "link.csv"
    append_agreements(path, [REPORT], DAY)
    path.chmod(0o660)
    link.symlink_to(path)
    append_agreements(link, [REPORT], DAY)
    assert link.is_symlink() and path.stat().st_mode & 0o777 == 0o660
    assert len(rows(path)) == 1 + 2 * 3


def test_what_another_computer_adds_meanwhile_is_not_lost(tmp_path, monkeypatch):
    path = tmp_path / "agreement.csv"
    append_agreements(path, [REPORT], DAY)
    check = agreement_file._check_names

    def check_slowly(*arguments: object) -> None:
        check(*arguments)
        monkeypatch.setattr(agreement_file, "_check_names", check)
        append_agreements(path, [REPORT], date(2031, 5, 5))

    monkeypatch.setattr(agreement_file, "_check_names", check_slowly)
    append_agreements(path, [REPORT], date(2031, 5, 6))
    days = [row[0] for row in rows(path)[1:]]
    assert days == ["2031-05-04"] * 3 + ["2031-05-05"] * 3 + ["2031-05-06"] * 3


def test_an_unfinished_last_line_is_ended(tmp_path):
    path = tmp_path / "agreement.csv"
    append_agreements(path, [REPORT], DAY)
    path.write_bytes(path.read_bytes()[:-7])
    before = path.read_bytes()
    append_agreements(path, [REPORT], DAY)
    assert path.read_bytes().startswith(before + b"\r\n2031-05-04,demo-ct,")
    assert len(rows(path)) == 1 + 2 * 3


def test_a_list_that_a_spreadsheet_or_an_editor_has_saved_is_still_one(tmp_path):
    path = tmp_path / "agreement.csv"
    path.write_text(",".join(f'"{name}"' for name in COLUMNS) + "\n", encoding="utf-8")
    append_agreements(path, [REPORT], DAY)
    assert len(rows(path)) == 1 + 3


def test_a_report_holds_nothing_of_the_scene():
    fields = {"model", "version", "slices", "count", "agreements"}
    assert set(AgreementReport.__dataclass_fields__) == fields
