"""Which cases, slices and voxels are scored, what is counted, and the intervals of the means."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
from evaluation_phantoms import (
    SPACING,
    PhantomDataset,
    always,
    boxes,
    case,
    shifted,
)
from scipy.stats import bootstrap

from GDLACore.errors import EvaluationError, VolumeError
from GDLACore.evaluation import Measurement, evaluate_cases, mean_of
from GDLACore.evaluation.intervals import RESAMPLES, SEED
from GDLACore.evaluation.picture_grid import shrunken_reference
from GDLACore.imaging.view import slice_view
from GDLACore.imaging.volume import Volume
from GDLACore.training.cases import IGNORED

pytest.importorskip("monai")


def test_every_structure_of_every_case_has_a_row_in_mm() -> None:
    dataset = PhantomDataset(test=(case("a"), case("b")))
    evaluation = evaluate_cases(dataset, "test", shifted(2))
    rows = [(row.case, row.patient, row.structure, row.unit) for row in evaluation.rows]
    assert rows == [
        (name, name, structure, "mm") for name in "ab" for structure in ("liver", "spleen")
    ]
    liver = evaluation.rows[0].scores
    assert liver.dice == pytest.approx(4 / 6)
    # Two columns of the plane, whichever way the grid is turned.
    assert liver.hd95 == pytest.approx(2 * SPACING[0], rel=1e-6)
    assert liver.reference_ml == pytest.approx(5 * 6 * 6 * np.prod(SPACING) / 1000)


def test_structures_a_case_does_not_know_are_not_scored() -> None:
    known, unknown = case("a"), case("b", unknown=frozenset({"spleen"}))
    evaluation = evaluate_cases(PhantomDataset(test=(known, unknown)), "test", shifted())
    assert [(r.case, r.structure) for r in evaluation.rows] == [
        ("a", "liver"), ("a", "spleen"), ("b", "liver"),
    ]  # fmt: skip
    nobody = PhantomDataset(test=(unknown,))
    evaluation = evaluate_cases(nobody, "test", shifted())
    assert evaluation.unscored == ("spleen",)
    assert [summary.structure for summary in evaluation.summary()] == ["liver"]


def test_voxels_nobody_annotated_count_neither_as_found_nor_as_missed() -> None:
    classes = boxes()
    classes[:, :, 12:] = IGNORED  # the whole spleen
    everywhere = np.full(classes.shape, 2, np.uint8)
    evaluation = evaluate_cases(PhantomDataset(test=(case("a", classes),)), "test",
                                always(np.where(classes == 1, 1, everywhere)))  # fmt: skip
    liver, spleen = (row.scores for row in evaluation.rows)
    assert liver.dice == 1.0
    assert spleen.outcome == "false"  # beside the ignored part it was found where nothing is
    hidden = np.where(classes == IGNORED, 2, classes)
    evaluation = evaluate_cases(PhantomDataset(test=(case("a", classes),)), "test", always(hidden))
    assert [row.scores.outcome for row in evaluation.rows] == ["found", "absent"]


@pytest.mark.parametrize(
    ("split", "scored", "asked"),
    [("validation", {3, 4}, range(3, 5)), ("training", {2, 5}, range(2, 6)),
     ("test", set(range(8)), range(8))],
)  # fmt: skip
def test_of_a_case_in_parts_each_split_is_scored_on_its_own_slices(
    split: str, scored: set[int], asked: range
) -> None:
    parted = case("a", slices=(2, 6), validation_slices=(3, 5))
    requests = []

    def everywhere(_case, volume, options):
        requests.append(options.slices)
        return np.ones(volume.shape, np.uint8)

    evaluation = evaluate_cases(PhantomDataset(**{split: (parted,)}), split, everywhere)
    plane = parted.classes.shape[1] * parted.classes.shape[2]
    voxel_ml = np.prod(SPACING) / 1000
    liver = evaluation.rows[0].scores
    assert liver.prediction_ml == pytest.approx(len(scored) * plane * voxel_ml)
    assert requests == [asked]


def test_slices_the_image_does_not_have_are_told() -> None:
    dataset = PhantomDataset(validation=(case("a", validation_slices=(6, 9)),))
    with pytest.raises(VolumeError, match="6:9 is no range of slices of a, which has 8"):
        evaluate_cases(dataset, "validation", shifted())


def test_missed_and_false_structures_are_counted_and_have_no_distance() -> None:
    cases = (
        case("found"),
        case("missed", boxes(spleen=4)),
        case("false", boxes(spleen=0)),
        case("absent", boxes(spleen=0)),
    )
    predicted = {
        "found": boxes(),
        "missed": boxes(spleen=0),
        "false": boxes(),
        "absent": boxes(6, 0),
    }
    evaluation = evaluate_cases(
        PhantomDataset(test=cases), "test", lambda case, *_: predicted[case.id], protocol="paper"
    )
    spleen = evaluation.summary()[1]
    assert spleen.outcomes == {"found": 1, "missed": 1, "false": 1, "absent": 1}
    assert (spleen.means["dice"].value, spleen.means["dice"].values) == (pytest.approx(1 / 3), 3)
    assert (spleen.means["hd95"].value, spleen.means["hd95"].values) == (0.0, 1)
    # The published way knows the found and the missed one alone, and calls all distances 0.
    assert spleen.paper_means["dice"].value == 0.5 and spleen.paper_means["dice"].values == 2
    assert spleen.paper_means["hd95_voxels"].value == 0.0
    assert evaluation.overall().outcomes["found"] == 5


def test_the_papers_protocol_stands_beside_the_native_one_on_its_own_borders() -> None:
    def predict(case, volume, options):
        return np.roll(case.classes, {"smooth": 1, "published": 2}[options.borders], axis=2)

    dataset = PhantomDataset(test=(case("a"),))
    native = evaluate_cases(dataset, "test", predict)
    both = evaluate_cases(dataset, "test", predict, protocol="paper")
    assert [row.scores for row in both.rows] == [row.scores for row in native.rows]
    assert both.rows[0].scores.dice == pytest.approx(5 / 6)
    assert both.rows[0].paper.dice == pytest.approx(4 / 6)
    assert both.rows[0].paper.hd95_voxels == pytest.approx(2.0)  # not mm
    assert native.rows[0].paper is None and native.summary()[0].paper_means == {}


@pytest.mark.parametrize("grid", [np.eye(4), np.diag([0.35, 0.35, 1, 1]), np.eye(4)[[1, 0, 2, 3]]])
def test_where_the_spacing_is_not_known_a_voxel_is_1_wide_whatever_the_file_says(
    grid: np.ndarray,
) -> None:
    """A picture may hold a density for printing, and arrays of slices are stored transposed."""
    image = case("a", ijk_to_ras=grid, spacing_known=False)
    evaluation = evaluate_cases(PhantomDataset(test=(image,)), "test", shifted(3))
    row, worst = evaluation.rows[0], evaluation.worst[0]
    assert (row.unit, row.scores.hd95) == ("voxels", 3.0)
    assert row.scores.volume_difference_ml is None and row.scores.reference_ml is None
    assert row.scores.volume_difference_percent == 0.0
    assert (worst.unit, worst.spacing) == ("voxels", (1.0, 1.0))


def test_lengths_in_mm_and_in_voxels_have_no_mean_together() -> None:
    cases = (case("a"), case("b", spacing_known=False, unknown=frozenset({"spleen"})))
    evaluation = evaluate_cases(PhantomDataset(test=cases), "test", shifted(2))
    assert evaluation.unit == "mm or voxels" and evaluation.mixed_units
    liver, spleen = (summary.means for summary in evaluation.summary())
    for measure in ("hd95", "nsd", "assd"):
        assert liver[measure] is None and evaluation.overall().means[measure] is None
        assert spleen[measure].values == 1
    assert liver["dice"].values == 2 and liver["volume_difference_ml"].values == 1


def test_a_grid_of_1_mm_at_the_origin_is_in_mm_where_the_file_tells_it() -> None:
    image = case("a", ijk_to_ras=np.eye(4))
    row = evaluate_cases(PhantomDataset(test=(image,)), "test", shifted(2)).rows[0]
    assert (row.unit, row.scores.hd95) == ("mm", 2.0)
    assert row.scores.reference_ml == pytest.approx(5 * 6 * 6 / 1000)


def test_the_papers_scores_of_pictures_are_taken_on_the_networks_grid() -> None:
    """The reference as its authors shrink it; the prediction as the network made it."""
    random = np.random.default_rng(3)
    network = random.integers(0, 2, (4, 4)).astype(np.uint8)
    published = network[np.arange(20) * 4 // 20][:, np.arange(24) * 4 // 24][None]
    classes = random.integers(0, 2, (1, 20, 24)).astype(np.uint8)
    dataset = PhantomDataset(test=(case("a", classes, ijk_to_ras=np.diag([-1.0, -1, 1, 1])),))
    evaluation = evaluate_cases(
        dataset, "test", always(published), protocol="paper", picture_size=4
    )
    # Displayed, the picture runs as it is stored: to the left and to the back.
    small = classes[0, ::5, ::6]
    dice = 2 * (network & small).sum() / (network.sum() + small.sum())
    assert evaluation.rows[0].paper.dice == pytest.approx(dice)
    native = 2 * (published & classes).sum() / (published.sum() + classes.sum())
    assert evaluation.rows[0].scores.dice == pytest.approx(native)


@pytest.mark.parametrize(("side", "size"), [(480, 224), (62, 224), (20, 4), (7, 10)])
def test_a_reference_is_shrunken_to_the_pixel_as_pytorch_does(side: int, size: int) -> None:
    torch = pytest.importorskip("torch")
    mask = np.arange(side)[None, None] % 2 == np.zeros((1, side, 1))
    view = slice_view(
        Volume(mask.astype(np.uint8), np.diag([-1.0, -1, 1, 1]), "a"), "axial", "identity"
    )
    expected = torch.nn.functional.interpolate(torch.from_numpy(mask[None].astype("f4")), size=size)
    assert np.array_equal(shrunken_reference(mask, view, size), expected[0].numpy() > 0)


def test_a_tolerance_is_a_structures_own() -> None:
    dataset = PhantomDataset(test=(case("a"),))
    evaluation = evaluate_cases(dataset, "test", shifted(1), tolerances={"spleen": 0.1})
    assert evaluation.tolerances == {"liver": 2.0, "spleen": 0.1}
    liver, spleen = (row.scores.nsd for row in evaluation.rows)
    assert liver == 1.0 and spleen < 1.0


@pytest.mark.parametrize(
    ("tolerances", "message"),
    [({"kidney": 1.0}, "kidney, which the dataset does not list. Its structures are liver, spleen"),
     ({"liver": -1.0}, "The tolerance of liver is -1"), ({"liver": float("nan")}, "is nan")],
)  # fmt: skip
def test_a_tolerance_that_cannot_be_meant_is_refused(tolerances, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        evaluate_cases(PhantomDataset(test=(case("a"),)), "test", shifted(), tolerances=tolerances)


def test_a_split_without_cases_is_refused() -> None:
    with pytest.raises(EvaluationError, match="no validation cases.*Name validation patients"):
        evaluate_cases(PhantomDataset(test=(case("a"),)), "validation", shifted())


def test_the_worst_slice_of_the_worst_images_is_kept() -> None:
    cases = tuple(case(name) for name in ("good", "bad", "fair", "poor"))

    def predict(case, volume, options):
        labels = np.roll(case.classes, {"good": 0, "fair": 1, "poor": 2, "bad": 4}[case.id], axis=2)
        labels[5] = 0  # where the whole slice is missed, most is wrong
        return labels if case.id != "good" else case.classes

    evaluation = evaluate_cases(PhantomDataset(test=cases), "test", predict)
    kept = [(p.structure, p.case) for p in evaluation.worst]
    assert kept == [("liver", "bad"), ("liver", "poor"), ("spleen", "bad"), ("spleen", "poor")]
    poor = evaluation.worst[1]
    assert (poor.index, poor.wrong, poor.reference.sum(), poor.prediction.sum()) == (5, 36, 36, 0)
    assert poor.spacing == pytest.approx((SPACING[1], SPACING[0]))


def test_no_image_is_kept_while_the_next_is_read() -> None:
    alive: list[weakref.ref] = []

    def seen(volume) -> None:
        assert [ref for ref in alive[:-1] if ref() is not None] == []
        alive.append(weakref.ref(volume.array))

    dataset = PhantomDataset(test=tuple(case(str(n)) for n in range(5)), seen=seen)
    evaluate_cases(dataset, "test", shifted())
    assert len(alive) == 5


def test_progress_counts_the_cases() -> None:
    told = []
    dataset = PhantomDataset(test=(case("a"), case("b")))
    evaluate_cases(dataset, "test", shifted(), on_progress=told.append)
    assert [(now.phase, now.done, now.total) for now in told] == [
        ("evaluating", n, 2) for n in range(3)
    ]


def measurements(values: dict[str, list[float]], structure: str = "s") -> list[Measurement]:
    return [
        Measurement(who, structure, value) for who, listed in values.items() for value in listed
    ]


def test_with_one_image_each_the_interval_is_scipys_of_the_mean() -> None:
    # No two resamples of these have the same mean but those of the same values.
    values = [0.9013, 0.7107, 0.9531, 0.4219, 0.8823, 0.8171]
    found = mean_of(measurements({f"p{n}": [value] for n, value in enumerate(values)}))
    expected = bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, random_state=np.random.default_rng(SEED)
    ).confidence_interval
    assert found.value == pytest.approx(np.mean(values)) and found.method == "BCa"
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_more_images_of_the_same_patients_do_not_narrow_the_interval() -> None:
    few = {"a": [0.9], "b": [0.5], "c": [0.7], "d": [0.8]}
    many = {patient: values * 25 for patient, values in few.items()}
    one, other = mean_of(measurements(few)), mean_of(measurements(many))
    assert (one.low, one.high) == (pytest.approx(other.low), pytest.approx(other.high))
    assert (one.values, other.values, other.patients) == (4, 100, 4)


@pytest.mark.parametrize("patients", [1, 2])
def test_two_patients_have_no_interval_however_many_images(patients: int) -> None:
    found = mean_of(measurements({f"p{n}": [0.1 * n, 0.5, 0.9] for n in range(patients)}))
    assert (found.low, found.high, found.method, found.patients) == (None, None, None, patients)


def test_values_that_are_all_the_same_have_an_interval_of_no_width() -> None:
    found = mean_of(measurements({"a": [0.5], "b": [0.5], "c": [0.5]}))
    assert (found.low, found.high, found.method) == (0.5, 0.5, "percentile")


def test_the_mean_is_over_images_and_whole_patients_are_drawn() -> None:
    images = {"a": [0.9, 0.8, 0.85, 0.95], "b": [0.2], "c": [0.4, 0.5], "d": [0.61]}
    found = mean_of(measurements(images))
    every = [value for values in images.values() for value in values]
    assert found.value == pytest.approx(np.mean(every)) and found.value > 0.6  # of patients: 0.53

    def mean_over_images(drawn: np.ndarray, axis: int = -1) -> np.ndarray:
        drawn = np.moveaxis(drawn, axis, -1)
        sums, counts = (
            np.array([measure(values) for values in images.values()])[drawn].sum(axis=-1)
            for measure in (sum, len)
        )
        return sums / counts

    expected = bootstrap(
        (np.arange(4),), mean_over_images, n_resamples=RESAMPLES, vectorized=True,
        random_state=np.random.default_rng(SEED),
    ).confidence_interval  # fmt: skip
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_a_structure_that_nobody_drawn_has_is_left_out_and_not_counted_as_0() -> None:
    common = measurements({"a": [1.0], "b": [1.0], "c": [1.0], "d": [1.0]}, "common")
    found = mean_of(common + measurements({"a": [1.0]}, "rare"))
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_nothing_measured_has_no_mean() -> None:
    assert mean_of([]) is None


def test_the_mean_of_all_structures_weighs_each_the_same() -> None:
    common = measurements({"a": [1.0], "b": [1.0], "c": [1.0]}, "common")
    rare = measurements({"a": [0.0]}, "rare")
    found = mean_of(common + rare)
    assert found.value == 0.5
    assert found.low is not None and found.low <= 0.5 <= found.high
