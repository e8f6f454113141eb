"""What a user is told to do after `gdla calibrate`, and whether it can be typed."""

from __future__ import annotations

import dataclasses
import os
import shlex
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from template_engine import SIDE, TemplateEngine, picture

from GDLACore.calibration.advice import UNCLEAR
from GDLACore.calibration.conclusion import changes, conclusion
from GDLACore.calibration.findings import Findings, calibrate
from GDLACore.calibration.input_check import DIFFERS, InputVerdict
from GDLACore.calibration.label_order import (
    ANOTHER_ORDER,
    EXCHANGED,
    IMPLAUSIBLE,
    MIRRORED,
    PLAUSIBLE,
    LabelOrderVerdict,
)
from GDLACore.cli.calibration_report import next_command, print_report
from GDLACore.cli.parser import command_line
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import IntensityProfile, ModelCard
from GDLACore.model.catalogue import find

WINDOW = IntensityProfile("ct_window", 0.0, 1000.0)
ZSCORE = IntensityProfile("zscore_volume")


def card_of(**changed: Any) -> ModelCard:
    card = dataclasses.replace(find("synapse").card, input_size=SIDE, view="identity")
    return dataclasses.replace(card, **{"intensity": WINDOW, **changed})


def found(card: ModelCard, *, gain: float = 30.0, slices: int = 3) -> Findings:
    """Return the findings for ``card`` where view identity and a window to 1000 are right."""
    array = np.stack([(1000 * picture(seed)).astype(np.int16) for seed in range(slices)])
    volume = Volume(array, np.diag([-1.0, -1.0, 1.0, 1.0]), "ct", "CT")
    # The pictures show no organs that could vouch for what is found.
    heart = find("acdc").card.labels[0].terminology
    labels = tuple(dataclasses.replace(label, terminology=heart) for label in card.labels)
    unknown = dataclasses.replace(card, labels=labels)
    return dataclasses.replace(calibrate(volume, TemplateEngine(unknown, gain), None), card=card)


@pytest.fixture(scope="module")
def right() -> Findings:
    return found(card_of())


def test_a_card_that_is_right_is_to_be_kept(right: Findings) -> None:
    assert changes(right) == ()
    text = conclusion(right)
    assert (
        text == "Keep the card: view identity and intensity ct_window 0 to 1000 suit this volume."
    )


def test_what_is_to_be_changed_is_named_with_what_it_was() -> None:
    findings = found(card_of(view="rotate_90", intensity=ZSCORE))
    assert conclusion(findings) == (
        "Change the card: view identity instead of rotate_90 and intensity minmax_volume instead "
        "of zscore_volume."
    )


def test_a_card_that_nothing_proves_right_is_kept_with_reserve() -> None:
    findings = found(card_of(view="rotate_90"), gain=0.3)
    assert findings.advice.view_choice.outcome == UNCLEAR and changes(findings) == ()
    assert "does not prove it right" in conclusion(findings)
    excluded = InputVerdict(DIFFERS, (), "")
    doubted = conclusion(dataclasses.replace(findings, inputs=excluded))
    assert "not what the network was taught on" in doubted


@pytest.mark.parametrize(
    ("outcome", "order", "doubt"),
    [
        (PLAUSIBLE, "TransUNet", ""),
        (ANOTHER_ORDER, None, "which label means which organ"),
        (EXCHANGED, None, "two labels look exchanged"),
        (MIRRORED, None, "left and right look exchanged"),
        (IMPLAUSIBLE, None, "Do not rely on the labels"),
    ],
)
def test_a_doubt_about_the_labels_is_left_to_the_user(
    right: Findings, outcome: str, order: str | None, doubt: str
) -> None:
    verdict = LabelOrderVerdict(outcome, order, "", (), {})
    text = conclusion(dataclasses.replace(right, label_order=verdict))
    assert doubt in text and text.count(". ") == (1 if doubt else 0)


def test_a_label_order_that_is_clear_is_a_change_and_no_doubt(right: Findings) -> None:
    verdict = LabelOrderVerdict(ANOTHER_ORDER, "SLDGroup", "", (), {})
    text = conclusion(dataclasses.replace(right, label_order=verdict))
    assert text == "Change the card: SLDGroup's label order instead of the card's."


def typed(folder: Path, *more: object, model: object = "demo-ct") -> Namespace:
    """Return what ``gdla calibrate`` is given; the image's name needs quotes."""
    image = folder / "my scan.nii.gz"
    image.touch()
    words = ["calibrate", model, image, *more]
    return command_line().parse_args([str(word) for word in words])


def understood(command: str) -> Namespace:
    """Return the arguments of ``command``, which must be one of this program's."""
    first, *words = shlex.split(command)
    assert first == "gdla"
    return command_line().parse_args(words)


needs_posix = pytest.mark.skipif(os.name == "nt", reason="quotes are those of a POSIX shell")


@needs_posix
def test_the_next_command_uses_a_card_that_is_right(right: Findings, tmp_path: Path) -> None:
    arguments = typed(tmp_path, "--frame", 2, "--threads", 3, "--runtime", "onnx")
    following = understood(next_command(arguments, right))
    assert following.input == arguments.volume and following.model == "demo-ct"
    assert following.output == Path("my scan.seg.nrrd") and following.card is None
    assert (following.frame, following.threads, following.runtime) == (2, 3, "onnx")


@needs_posix
def test_the_next_command_writes_a_card_that_changes_and_then_uses_it(tmp_path: Path) -> None:
    findings = found(card_of(view="rotate_90"))
    model = tmp_path / "theirs.ckpt"
    first = typed(tmp_path, "--card", "synapse", "--sample", 4, "--series", 1, model=model)
    second = understood(next_command(first, findings))
    assert second.output == Path("theirs.calibrated.json")
    assert {**vars(second), "output": None} == vars(first)
    third = understood(next_command(second, findings))
    assert third.command.__name__ == "segment" and third.model == str(model)
    assert third.card == "theirs.calibrated.json" and third.series == "1"


@needs_posix
def test_a_card_beside_its_checkpoint_is_found_without_being_named(tmp_path: Path) -> None:
    findings, model = found(card_of(view="rotate_90")), tmp_path / "theirs.ckpt"
    beside = tmp_path / "theirs.card.json"
    arguments = typed(tmp_path, "--card", "synapse", "-o", beside, model=model)
    assert understood(next_command(arguments, findings)).card is None
    inside = typed(tmp_path, "-o", beside, model=tmp_path / "theirs.safetensors")
    assert understood(next_command(inside, findings)).card == str(beside)


def test_the_report_explains_its_words_and_ends_with_what_to_do(
    right: Findings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_report(typed(tmp_path), right)
    out = capsys.readouterr().out
    assert "Certainty says" in out and "zscore_volume, to mean 0" in " ".join(out.split())
    assert "minmax_image" not in out, "was not tried"
    *_, result, following = [line for line in out.splitlines() if line[:1].strip()]
    assert result.startswith("Result:      Keep the card") and following.startswith("Next: ")
    text = out[out.index("View is") : out.index("Next:")]
    assert max(map(len, text.splitlines())) <= 80
