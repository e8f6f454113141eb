"""Finding a network's slice view and intensity profile by trying them on a volume."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from phantom import make_card
from template_engine import SIDE, TemplateEngine, picture

from GDLACore.calibration.advice import AGREES, ANOTHER, UNCLEAR, Advice, advise, profile_text
from GDLACore.calibration.candidates import candidate_profiles
from GDLACore.calibration.input_check import DIFFERS, UNKNOWN, InputVerdict, check_inputs
from GDLACore.calibration.input_statistics import InputStatistics
from GDLACore.calibration.trial import Trial, try_views
from GDLACore.engine import load_engine
from GDLACore.errors import EngineError, VolumeError
from GDLACore.imaging.reading import read_volume
from GDLACore.imaging.view import slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import DIHEDRAL_VIEWS, IntensityProfile, ModelCard
from GDLACore.resources import resource_path

UNIT_WINDOW = IntensityProfile("ct_window", 0.0, 1000.0)
ZSCORE = IntensityProfile("zscore_volume")


def template_card(**changes: Any) -> ModelCard:
    return dataclasses.replace(
        make_card(), **{"input_size": SIDE, "intensity": UNIT_WINDOW, **changes}
    )


def seen_as(view: str, *, colour: bool = False) -> Volume:
    """Return six slices that look like the template in ``view``, in values from 0 to 1000."""
    random = np.random.default_rng(5)
    pictures = np.array([picture(seed) for seed in range(1, 7)])
    pictures = 1000 * (pictures + random.normal(0, 0.01, pictures.shape)).clip(0, 1)
    array = np.zeros((6, SIDE, SIDE), np.int16)
    modality = "US" if colour else "CT"
    volume = Volume(array, np.eye(4), "phantom", modality)
    slice_view(volume, "axial", view).put(array, range(6), pictures)
    if colour:
        return Volume(np.repeat(array[..., None], 3, axis=3), np.eye(4), "phantom", modality)
    return volume


def only(*kinds: str) -> InputVerdict:
    """Return the word of weights that were taught on what profiles of these ``kinds`` give."""
    return InputVerdict(DIFFERS, kinds, "")


def tried(volume: Volume, engine: Any, profiles: Sequence[IntensityProfile], n: int = 6) -> Trial:
    return try_views(volume, engine, profiles, slices=n)


@pytest.mark.parametrize("view", DIHEDRAL_VIEWS)
def test_the_view_in_which_the_slices_look_as_taught_is_found(view: str) -> None:
    trial = tried(seen_as(view), TemplateEngine(template_card()), [UNIT_WINDOW])
    assert len(trial.attempts) == 8 and trial.slices == (0, 1, 2, 3, 4, 5)
    assert trial.attempts[0].view == view
    certainties = [attempt.certainty for attempt in trial.attempts]
    assert certainties == sorted(certainties, reverse=True)
    for named in DIHEDRAL_VIEWS:  # whatever the card says
        advice = advise(trial, template_card(view=named))
        assert advice.view == view
        assert advice.view_choice.outcome == (AGREES if named == view else ANOTHER)
        assert view in advice.view_choice.sentence and named in advice.view_choice.sentence


def test_the_profile_that_gives_the_taught_values_is_found() -> None:
    profiles = [ZSCORE, IntensityProfile("none"), UNIT_WINDOW]
    trial = tried(seen_as("transpose"), TemplateEngine(template_card()), profiles)
    assert len(trial.attempts) == 24
    best = trial.attempts[0]
    assert (best.view, best.intensity) == ("transpose", UNIT_WINDOW)
    assert 0 <= best.input_mean <= 1 and 0.1 < best.input_deviation < 0.5
    assert trial.attempt("identity", ZSCORE).input_deviation == pytest.approx(1, abs=0.01)
    advice = advise(trial, template_card(intensity=ZSCORE))
    assert advice.intensity == UNIT_WINDOW
    assert advice.intensity_choice.outcome == ANOTHER
    assert "use ct_window 0 to 1000" in advice.intensity_choice.sentence
    kept = advise(trial, template_card(view="transpose"))
    assert (kept.view_choice.outcome, kept.intensity_choice.outcome) == (AGREES, AGREES)


class OverconfidentEngine(TemplateEngine):
    """Sees its template wherever values are too low, as networks see lungs in dark images."""

    def _likeness(self, image: np.ndarray) -> float:
        return 1.0 if image.min() < -0.5 else super()._likeness(image)


def test_a_profile_that_the_weights_rule_out_is_not_advised_however_certain() -> None:
    card = template_card()
    trial = tried(seen_as("transpose"), OverconfidentEngine(card), [UNIT_WINDOW, ZSCORE])
    assert trial.attempts[0].intensity == ZSCORE
    assert advise(trial, card).intensity == ZSCORE
    advice = advise(trial, card, only("ct_window", "minmax_volume"))
    assert (advice.view, advice.intensity) == ("transpose", UNIT_WINDOW)
    refused = advise(trial, template_card(intensity=ZSCORE), only("ct_window"))
    assert refused.intensity == UNIT_WINDOW
    assert "zscore_volume contradicts the weights" in refused.intensity_choice.sentence
    # What no attempt satisfies leaves the choice to the trial.
    assert advise(trial, card, only("none")).intensity == ZSCORE


def test_a_card_that_feeds_stored_values_keeps_them_where_the_network_is_certain_of_them() -> None:
    # Values already windowed: a window would be applied a second time.
    stored = seen_as("transpose")
    stored = Volume((stored.array / 1000).astype(np.float32), stored.ijk_to_ras, "stored", "CT")
    card = template_card(view="transpose", intensity=IntensityProfile("none"))
    weights = InputStatistics((0.13,), (0.2,), 1.0, 64, 0.001, 0.001)  # taught on 0 to 1
    inputs = check_inputs(weights, card)
    assert inputs.outcome == UNKNOWN and {"none", "ct_window"} <= set(inputs.kinds)
    engine = OverconfidentEngine(card)
    trial = tried(stored, engine, [card.intensity, UNIT_WINDOW, ZSCORE])
    advice = advise(trial, card, inputs)
    assert (advice.view, advice.intensity) == ("transpose", card.intensity)
    assert advice.intensity_choice.outcome == AGREES
    # What the weights exclude, however certain the network, is excluded all the same.
    assert trial.attempts[0].intensity == ZSCORE and inputs.rules_out(ZSCORE)


def test_a_card_that_feeds_stored_values_is_corrected_where_they_are_stored_otherwise() -> None:
    card = template_card(intensity=IntensityProfile("none"))
    inputs = check_inputs(InputStatistics((0.13,), (0.2,), 1.0, 64, 0.001, 0.001), card)
    engine = TemplateEngine(card)
    advice = advise(tried(seen_as("identity"), engine, [card.intensity, UNIT_WINDOW]), card, inputs)
    assert advice.intensity == UNIT_WINDOW and advice.intensity_choice.outcome == ANOTHER
    assert "contradicts the weights" not in advice.intensity_choice.sentence


def test_a_network_certain_of_nothing_gives_no_advice() -> None:
    card = template_card(view="rotate_90")
    trial = tried(seen_as("identity"), TemplateEngine(card, gain=0.3), [UNIT_WINDOW])
    advice = advise(trial, card)
    assert advice.view_choice.outcome == advice.intensity_choice.outcome == UNCLEAR
    assert (advice.view, advice.intensity) == ("rotate_90", UNIT_WINDOW)
    assert "not certain of anything" in advice.view_choice.sentence


def test_views_that_cannot_be_told_apart_are_all_named_and_the_card_is_kept() -> None:
    both_ways = np.concatenate([seen_as("identity").array, seen_as("flip_rows").array])
    volume = Volume(both_ways, np.eye(4), "ambiguous", "CT")
    trial = tried(volume, TemplateEngine(template_card()), [UNIT_WINDOW], n=12)
    first, second = (attempt.view for attempt in trial.attempts[:2])
    advice = advise(trial, template_card(view=second))
    assert {first, second} == {"identity", "flip_rows"}
    assert advice.view_choice.outcome == UNCLEAR
    assert advice.view == second and advice.view_choice.rivals == (first,)
    assert "not clear" in advice.view_choice.sentence
    other = advise(trial, template_card(view="rotate_90"))
    assert (other.view, other.view_choice.outcome) == ("rotate_90", UNCLEAR)
    assert other.view_choice.rivals == (first, second)
    assert "another view may be right, but which cannot be told" in other.view_choice.sentence
    assert "use " not in other.view_choice.sentence


def of_one_slice(shown: np.ndarray, card: ModelCard) -> Advice:
    """Return the advice after ``shown`` [SIDE, SIDE], from 0 to 1, is all there is of a volume."""
    volume = Volume((1000 * shown[None]).astype(np.int16), np.diag([-1, -1, 1, 1.0]), "one", "CT")
    return advise(tried(volume, TemplateEngine(template_card()), [UNIT_WINDOW]), card)


def test_one_slice_decides_where_no_other_view_comes_near_and_warns_that_it_is_one() -> None:
    kept = of_one_slice(picture(), template_card())
    assert (kept.view, kept.view_choice.outcome) == ("identity", AGREES)
    corrected = of_one_slice(picture(), template_card(view="rotate_90"))
    assert (corrected.view, corrected.view_choice.outcome) == ("identity", ANOTHER)
    assert "single slice" in kept.caution and "other images" in corrected.caution
    several = advise(
        tried(seen_as("identity"), TemplateEngine(template_card()), [UNIT_WINDOW]), template_card()
    )
    assert several.caution == ""


def test_one_slice_that_looks_alike_in_several_views_decides_nothing() -> None:
    mirrored = np.maximum(picture(), picture()[:, ::-1])
    advice = of_one_slice(mirrored, template_card(view="flip_columns"))
    assert (advice.view, advice.view_choice.outcome) == ("flip_columns", UNCLEAR)
    assert advice.view_choice.rivals == ("identity",)


def test_a_round_spot_looks_alike_in_all_views() -> None:
    volume = seen_as("identity")
    trial = tried(volume, TemplateEngine(template_card()), [UNIT_WINDOW])
    same = [dataclasses.replace(a, answer=trial.attempts[0].answer) for a in trial.attempts]
    advice = advise(dataclasses.replace(trial, attempts=tuple(same)), template_card())
    assert (advice.view, advice.view_choice.outcome) == ("identity", UNCLEAR)
    assert len(advice.view_choice.rivals) == 7
    assert "no view is clearly ahead" in advice.view_choice.sentence


def test_colour_networks_are_tried_with_profiles_for_colour() -> None:
    card = template_card(modality="US", in_channels=3, intensity=IntensityProfile("minmax_image"))
    profiles = candidate_profiles(card)
    trial = tried(seen_as("rotate_180", colour=True), TemplateEngine(card), profiles)
    best = trial.attempts[0]
    assert best.view == "rotate_180" and best.intensity.kind.startswith("minmax")
    fed = trial.attempt("identity", IntensityProfile("minmax_image"))
    assert 0 < fed.input_mean < 1 and fed.input_deviation < 0.5


def test_the_engine_has_its_own_card_again_even_after_an_error() -> None:
    card = template_card()
    engine = TemplateEngine(card)
    tried(seen_as("identity"), engine, [ZSCORE])
    assert engine.card is card
    engine.close()
    engine._scores = lambda slices: (_ for _ in ()).throw(ValueError("no"))
    with pytest.raises(EngineError):
        tried(seen_as("identity"), engine, [ZSCORE])
    assert engine.card is card


def test_slices_come_in_batches_and_progress_counts_all() -> None:
    engine = TemplateEngine(template_card())
    told: list[tuple[int, int]] = []
    try_views(
        seen_as("identity"),
        engine,
        [UNIT_WINDOW, ZSCORE],
        slices=6,
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert set(engine.asked) == {5, 1}
    assert told[-1] == (96, 96) and [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_volume_of_another_kind_is_refused() -> None:
    volume = dataclasses.replace(seen_as("identity"), modality="MR")
    with pytest.raises(VolumeError, match="MR image"):
        tried(volume, TemplateEngine(template_card()), [UNIT_WINDOW])


def test_the_cards_own_profile_is_tried_first_and_none_twice() -> None:
    own = candidate_profiles(template_card(intensity=ZSCORE))
    assert own[0] == ZSCORE and len(set(own)) == len(own) == 3
    assert [profile.kind for profile in own[1:]] == ["ct_window", "minmax_volume"]
    mr = candidate_profiles(template_card(modality="MR", intensity=ZSCORE))
    assert {profile.kind for profile in mr} == {"zscore_volume", "minmax_volume"}
    rgb = candidate_profiles(
        template_card(modality="RGB", in_channels=3, intensity=IntensityProfile("minmax_image"))
    )
    assert rgb[0].kind == "minmax_image"
    assert candidate_profiles(template_card(), kinds=("none",))[-1].kind == "none"
    assert profile_text(UNIT_WINDOW) == "ct_window 0 to 1000"


# The real thing: the demonstration model on the CT that ships.


@pytest.fixture(scope="module")
def demonstration() -> Any:
    with load_engine("demo-ct", device="cpu", threads=1) as engine:
        yield engine


@pytest.fixture(scope="module")
def sample() -> Volume:
    return read_volume(resource_path("samples", "ct-abdomen-dicom"))


def test_the_demonstration_models_view_and_profile_win_clearly(
    demonstration: Any, sample: Volume
) -> None:
    card = demonstration.card
    trial = tried(sample, demonstration, candidate_profiles(card), n=2)
    advice = advise(trial, card, only("ct_window", "minmax_volume", "minmax_image"))
    assert (advice.view, advice.view_choice.outcome) == (card.view, AGREES)
    assert advice.intensity == card.intensity
    # Windows that differ little cannot be told apart; other profiles can.
    assert set(advice.intensity_choice.rivals) <= {"ct_window -125 to 275"}
    own = trial.attempt(card.view, card.intensity)
    others = [a for a in trial.attempts if a.view != card.view and a.intensity == card.intensity]
    assert own.certainty > max(other.certainty for other in others) + 0.05
    for named in DIHEDRAL_VIEWS[1:]:
        wrong = advise(trial, dataclasses.replace(card, view=named), only("ct_window"))
        assert (wrong.view, wrong.view_choice.outcome) == (card.view, ANOTHER)


@pytest.mark.parametrize("turn", DIHEDRAL_VIEWS[1:])
def test_a_ct_whose_header_hides_how_it_is_turned_is_still_seen_through(
    demonstration: Any, sample: Volume, turn: str
) -> None:
    array = np.empty_like(sample.array)
    upright = slice_view(sample, "axial", "identity")
    shown = upright.take(sample.array, slice(None))
    slice_view(sample, "axial", turn).put(array, slice(None), shown)
    hidden = Volume(array, sample.ijk_to_ras, "turned", "CT")
    card = demonstration.card
    advice = advise(tried(hidden, demonstration, [card.intensity], n=2), card)
    assert (advice.view, advice.view_choice.outcome) == (turn, ANOTHER)
