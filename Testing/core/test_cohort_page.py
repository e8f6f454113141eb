"""The page to check a cohort by: its order, its pictures, and what it does not hold."""

from __future__ import annotations

import re

import pytest
from phantom import make_card

from GDLACore.cohort import qc_page
from GDLACore.cohort.files import picture_of
from GDLACore.cohort.qc_page import write_page
from GDLACore.cohort.record import StudyRecord

HASH = "ab" * 32


def done(name: str, doubt: float, ml: float = 5.0, **fields: object) -> StudyRecord:
    return StudyRecord(
        name,
        "done",
        f"/secret/{name}.nii",
        input_sha256=HASH,
        output=f"segmentations/{name}.seg.nrrd",
        output_sha256=HASH,
        volumes_ml={"liver": ml, "spleen": 0.0},
        doubt=doubt,
        **fields,
    )


def failed(name: str, error: str) -> StudyRecord:
    return StudyRecord(name, "failed", f"/secret/{name}.nii", error=error, error_kind="VolumeError")


@pytest.fixture
def page(tmp_path):
    def write(*records: StudyRecord) -> str:
        for record in records:
            path = tmp_path / picture_of(record.name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"\xff\xd8\xff" + record.name.encode())
        write_page(tmp_path / "qc.html", records, make_card())
        return (tmp_path / "qc.html").read_text(encoding="utf-8")

    return write


def names(text: str) -> list[str]:
    return re.findall(r"<h3>([^<]*?) ?<", text)


def test_failures_come_first_then_nothing_found_then_the_most_doubtful(page):
    text = page(
        done("sure", 0.01), done("doubtful", 0.9), failed("bad", "It is damaged."),
        done("empty", 0.2, ml=0.0), done("middling", 0.5),
    )  # fmt: skip
    assert names(text) == ["bad", "empty", "doubtful", "middling", "sure"]
    assert "4 segmented, 1 failed" in text and "It is damaged." in text
    assert "Nothing was found." in text and "liver 5.0 mL" in text and "spleen" not in text


def test_the_page_needs_nothing_else_and_tells_no_paths(page):
    text = page(done("site/one", 0.1), failed("two", "No."))
    assert text.count("data:image/jpeg;base64,") == 1
    assert "<script" not in text and "http" not in text and "/secret" not in text
    assert HASH not in text


def test_the_least_doubtful_of_many_are_links(page, monkeypatch):
    monkeypatch.setattr(qc_page, "_MOST_PICTURES", 1)
    text = page(done("a b", 0.1), done("c", 0.9))
    assert text.count("data:image") == 1 and 'href="pictures/a%20b.jpg"' in text


def test_names_and_sentences_are_text_and_not_html(page):
    text = page(
        done("<b>x", 0.1, warnings=("<i>careful</i>",)), failed("y", "<script>alert(1)</script>")
    )
    assert "<b>x" not in text and "<i>" not in text and "<script" not in text
    assert "&lt;b&gt;x" in text and "&lt;i&gt;careful" in text


def test_a_lost_picture_is_said(tmp_path):
    write_page(tmp_path / "qc.html", [done("gone", 0.1)], make_card())
    assert "There is no picture." in (tmp_path / "qc.html").read_text(encoding="utf-8")


def test_a_name_that_is_no_text_costs_no_page(tmp_path, monkeypatch):
    monkeypatch.setattr(qc_page, "_MOST_PICTURES", 0)
    records = [done("x\udcff", 0.1), failed("y\udcfe", "y\udcfe is damaged.")]
    write_page(tmp_path / "qc.html", records, make_card())
    text = (tmp_path / "qc.html").read_text(encoding="utf-8")
    assert "x\\udcff" in text and "y\\udcfe is damaged." in text


def test_a_single_voxel_is_not_nothing(page):
    text = page(done("voxel", 0.1, ml=0.00004), done("empty", 0.0, ml=0.0))
    assert names(text) == ["empty", "voxel"] and "liver &lt; 0.1 mL" in text
