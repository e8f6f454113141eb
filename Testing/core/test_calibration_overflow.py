"""Calibrating where some ways to feed the network drive it beyond all finite numbers."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from command_line import run_gdla
from phantom import make_card
from small_engines import make_engine
from template_engine import SIDE, TemplateEngine, picture

from GDLACore.calibration.advice import AGREES, ANOTHER, advise
from GDLACore.calibration.findings import calibrate
from GDLACore.calibration.label_order import CANNOT_TELL
from GDLACore.calibration.trial import Overflow, try_views
from GDLACore.cli import calibrate as command
from GDLACore.engine.protocol import Engine
from GDLACore.errors import EngineError
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import DIHEDRAL_VIEWS, IntensityProfile, ModelCard
from GDLACore.model.catalogue import find

WINDOW = IntensityProfile("ct_window", 0.0, 1000.0)
ZSCORE = IntensityProfile("zscore_volume")
NONE = IntensityProfile("none")
CARD = dataclasses.replace(make_card(), input_size=SIDE, intensity=WINDOW)


def huge(card: ModelCard) -> Volume:
    """Return a CT whose stored values no network can take, though a window makes them 0 to 1."""
    side = card.input_size
    array = np.random.default_rng(0).choice(np.array([-3e38, 3e38], np.float32), (2, side, side))
    return Volume(array, np.eye(4), "huge", "CT")


def upright(n: int = 3) -> Volume:
    array = np.stack([(1000 * picture(seed)).astype(np.int16) for seed in range(n)])
    return Volume(array, np.diag([-1.0, -1.0, 1.0, 1.0]), "ct", "CT")


class OverflowingEngine(TemplateEngine):
    """Overflows wherever ``overflows`` says so of an image [c, h, w]."""

    def __init__(self, card: ModelCard, overflows: Callable[[np.ndarray], bool]) -> None:
        super().__init__(card)
        self.overflows = overflows

    def _scores(self, slices: np.ndarray) -> np.ndarray:
        if any(self.overflows(image) for image in slices):
            raise EngineError("The network's results on CPU are not finite numbers.", "Check.")
        return super()._scores(slices)


def torch_engine(card: ModelCard) -> Engine:
    pytest.importorskip("torch")
    from torch_engines import make_torch_engine

    return make_torch_engine(card)


@pytest.mark.parametrize("make", [make_engine, torch_engine], ids=["ONNX", "PyTorch"])
def test_a_profile_that_overflows_in_a_real_engine_is_set_aside(
    make: Callable[[ModelCard], Engine],
) -> None:
    told: list[tuple[int, int]] = []
    with make(CARD) as engine, np.errstate(all="ignore"):
        trial = try_views(
            huge(CARD), engine, [WINDOW, NONE], on_progress=lambda *now: told.append(now)
        )
        assert engine.card is CARD
    assert trial.overflows == tuple(Overflow(view, NONE) for view in DIHEDRAL_VIEWS)
    assert {attempt.intensity for attempt in trial.attempts} == {WINDOW}
    assert told[-1] == (32, 32) and told == sorted(told)
    with pytest.raises(KeyError):
        trial.attempt("identity", NONE)


@pytest.mark.parametrize("make", [make_engine, torch_engine], ids=["ONNX", "PyTorch"])
def test_a_network_that_overflows_in_every_attempt_is_refused(
    make: Callable[[ModelCard], Engine],
) -> None:
    with make(CARD) as engine, np.errstate(all="ignore"):
        with pytest.raises(EngineError, match=r"no finite numbers for huge, whichever") as caught:
            try_views(huge(CARD), engine, [NONE])
    assert caught.value.hint


def test_another_failure_ends_the_trial() -> None:
    def fails(image: np.ndarray) -> bool:
        raise EngineError("There is not enough memory for one slice of 32 x 32 pixels.")

    with pytest.raises(EngineError, match="memory"):
        try_views(upright(), OverflowingEngine(CARD, fails), [WINDOW, ZSCORE])


def test_a_cards_profile_that_overflows_is_replaced() -> None:
    card = dataclasses.replace(CARD, intensity=NONE)
    engine = OverflowingEngine(card, lambda image: image.max() > 100)
    advice = advise(try_views(upright(), engine, [NONE, WINDOW]), card)
    assert (advice.view, advice.intensity) == ("identity", WINDOW)
    assert advice.intensity_choice.outcome == ANOTHER
    assert "card's none gives no finite numbers: use ct_window" in advice.intensity_choice.sentence


def test_a_cards_view_that_overflows_is_replaced() -> None:
    card = dataclasses.replace(CARD, view="rotate_90")
    turned = np.rot90(picture())
    engine = OverflowingEngine(card, lambda image: float(np.abs(image - turned).mean()) < 0.05)
    trial = try_views(upright(), engine, [WINDOW])
    assert Overflow("rotate_90", WINDOW) in trial.overflows
    advice = advise(trial, card)
    assert (advice.view, advice.view_choice.outcome) == ("identity", ANOTHER)
    assert "rotate_90 (which gives no finite numbers), but" in advice.view_choice.sentence


def test_one_attempt_that_came_to_something_is_enough() -> None:
    engine = OverflowingEngine(CARD, lambda image: np.abs(image[0] - picture()).mean() > 0.1)
    trial = try_views(upright(), engine, [WINDOW])
    assert len(trial.attempts) == 1 and len(trial.overflows) == 7
    advice = advise(trial, CARD)
    assert (advice.view, advice.view_choice.outcome) == ("identity", AGREES)
    assert advice.view_choice.sentence.endswith(".")


def test_an_overflow_while_organs_are_looked_for_leaves_the_rest_of_the_findings() -> None:
    card = dataclasses.replace(find("synapse").card, input_size=SIDE)
    engine = OverflowingEngine(card, lambda image: False)
    engine._labels = lambda slices, borders: OverflowingEngine(card, lambda _: True)._scores(slices)
    findings = calibrate(upright(), engine, None)
    assert findings.label_order.outcome == CANNOT_TELL
    assert "no finite numbers" in findings.label_order.sentence
    assert engine.card is card


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CT in a file, and an engine that takes no z-scores."""
    path = tmp_path / "ct.nrrd"
    sitk.WriteImage(sitk.GetImageFromArray(upright().array), str(path))
    card = dataclasses.replace(find("demo-ct").card, input_size=SIDE, intensity=ZSCORE)
    engine = OverflowingEngine(card, lambda image: image.min() < 0)
    monkeypatch.setattr(command, "engine_for", lambda model, **_: engine)
    return path


def test_ways_that_overflow_are_listed_last(
    stand_in: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options: tuple[Any, ...] = ("calibrate", "demo-ct", stand_in)
    assert run_gdla(*options) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if " zscore_volume " in line]
    rows = [row for row in rows if row.split()[0] in DIHEDRAL_VIEWS]
    assert len(rows) == 8 and all("not finite" in row for row in rows)
    assert run_gdla(*options, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["view"] for one in told["not_finite"]] == list(DIHEDRAL_VIEWS)
    assert {one["intensity"]["kind"] for one in told["attempts"]} == {"ct_window", "minmax_volume"}
