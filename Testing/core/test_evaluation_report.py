"""The folder an evaluation is written to."""

from __future__ import annotations

import csv
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from evaluation_phantoms import PhantomDataset, boxes, case, shifted

from GDLACore.errors import OutputError
from GDLACore.evaluation import Evaluation, evaluate_cases
from GDLACore.evaluation.definitions import NATIVE_DEFINITIONS, PAPER_DEFINITIONS
from GDLACore.evaluation.report_files import check_report_folder, write_report

pytest.importorskip("monai")
pytest.importorskip("PIL")

FACTS = {"model": {"name": "demo", "sha256": "ab" * 32}, "dataset": {"split_sha256": "cd" * 32}}


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    cases = (case("a"), case("b"), case("<c>", boxes(spleen=0)), case("d", boxes(liver=0)))

    def predict(case, volume, options):
        labels = shifted(1)(case, volume, options)
        return np.where(labels == 1, 0, labels) if case.id == "b" else labels

    return evaluate_cases(PhantomDataset(test=cases), "test", predict, protocol="paper")


def test_the_table_holds_every_row_and_leaves_empty_what_is_not_defined(
    tmp_path: Path, evaluation: Evaluation
) -> None:
    write_report(tmp_path / "out", evaluation, FACTS)
    with (tmp_path / "out/scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(evaluation.rows) == 8
    missed = rows[2]
    assert (missed["case"], missed["structure"], missed["outcome"]) == ("b", "liver", "missed")
    assert (missed["dice"], missed["hd95"], missed["assd"]) == ("0.0", "", "")
    assert (missed["paper_dice"], missed["paper_hd95_voxels"]) == ("0.0", "0.0")
    assert float(rows[0]["dice"]) == evaluation.rows[0].scores.dice


def test_the_json_holds_all_that_led_to_the_numbers(tmp_path: Path, evaluation: Evaluation) -> None:
    write_report(tmp_path / "out", evaluation, FACTS)
    told = json.loads((tmp_path / "out/scores.json").read_text(encoding="utf-8"))
    assert told["model"]["sha256"] == "ab" * 32
    assert told["dataset"]["split_sha256"] == "cd" * 32
    assert (told["split"], told["protocol"]) == ("test", "paper")
    assert told["tolerances"] == {"liver": 2.0, "spleen": 2.0}
    assert told["intervals"]["drawn"] == "patients"
    assert {"python", "numpy", "scipy", "monai"} <= told["versions"].keys()
    overall, liver, _ = told["summary"]
    assert overall["structure"] == "All structures"
    assert liver["outcomes"] == {"found": 2, "missed": 1, "false": 0, "absent": 1}
    assert liver["means"]["dice"]["low"] <= liver["means"]["dice"]["value"]
    assert liver["paper_means"]["hd95_voxels"]["values"] == 4
    assert len(told["scores"]) == 8


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        self.links += [v or "" for name, v in attributes if name in ("src", "href", "srcset")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_in_itself_and_runs_nothing(
    tmp_path: Path, evaluation: Evaluation
) -> None:
    text = write_report(tmp_path / "out", evaluation, FACTS).read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == [] and not {"script", "link", "iframe"} & set(page.tags)
    assert page.tags.count("img") == len(evaluation.worst) == 4
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert "<c>" not in text and "&lt;c&gt;" in text
    assert text.index("Native protocol") < text.index("Published protocol")
    for name in (*NATIVE_DEFINITIONS, *PAPER_DEFINITIONS):
        assert f"<dt>{name}</dt>" in text
    assert "Missed: in the reference alone" in text and "Not for clinical use" in text


def test_the_page_of_the_native_protocol_says_nothing_of_the_published_one(
    tmp_path: Path,
) -> None:
    evaluation = evaluate_cases(PhantomDataset(test=(case("a"),)), "test", shifted())
    text = write_report(tmp_path / "out", evaluation, FACTS).read_text(encoding="utf-8")
    assert "Published" not in text and "Paper" not in text
    assert "There are no confidence intervals: they need 3 patients" in text


def test_pictures_show_prediction_and_reference_in_their_colours(
    tmp_path: Path, evaluation: Evaluation
) -> None:
    from PIL import Image

    write_report(tmp_path / "out", evaluation, FACTS)
    files = sorted((tmp_path / "out").glob("worst-*.png"))
    assert [file.name for file in files] == [f"worst-{n:02d}.png" for n in range(1, 5)]
    assert [p.scores.outcome for p in evaluation.worst] == ["missed", "found", "found", "found"]
    shown = [np.array(Image.open(file).convert("RGB")).astype(int) for file in files[:2]]
    orange = [((p[..., 0] > 230) & (p[..., 2] < 60)).sum() for p in shown]
    blue = [((p[..., 2] > 230) & (p[..., 0] < 140)).sum() for p in shown]
    assert orange[0] == 0 and orange[1] > 200  # nothing was predicted in the missed one
    assert min(blue) > 200
    height, width = shown[0].shape[:2]
    assert max(height, width) == 360


def test_a_folder_with_files_is_left_alone_unless_it_may_be_replaced(
    tmp_path: Path, evaluation: Evaluation
) -> None:
    folder = tmp_path / "out"
    write_report(folder, evaluation, FACTS)
    (folder / "notes.txt").write_text("mine")
    (folder / "worst-09.png").write_bytes(b"of the report before")
    (folder / "report.html").write_text("old")
    with pytest.raises(OutputError, match="is not empty.*--force"):
        write_report(folder, evaluation, FACTS)
    assert (folder / "report.html").read_text() == "old"
    write_report(folder, evaluation, FACTS, overwrite=True)
    assert (folder / "notes.txt").read_text() == "mine"
    assert not (folder / "worst-09.png").exists()
    assert (folder / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_empty_folder_is_written_to(tmp_path: Path, evaluation: Evaluation) -> None:
    assert write_report(tmp_path, evaluation, FACTS) == tmp_path / "report.html"


def test_a_file_and_a_missing_parent_are_no_place_for_a_report(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is a file"):
        check_report_folder(tmp_path / "file", overwrite=True)
    with pytest.raises(OutputError, match="does not exist"):
        check_report_folder(tmp_path / "no" / "out", overwrite=False)


def test_a_disk_that_is_full_leaves_no_report_and_the_old_one_whole(
    tmp_path: Path, evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    write_report(folder, evaluation, FACTS)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    written = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.name == "report.html":
            raise OSError(28, os.strerror(28))
        return written(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=re.escape("cannot be written: No space left on device")):
        write_report(folder, evaluation, FACTS, overwrite=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
