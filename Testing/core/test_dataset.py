from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from training_data import write_dataset, yaml

pytest.importorskip("torch")

from GDLACore.errors import TrainingError, VolumeError
from GDLACore.imaging.view import slice_view
from GDLACore.training.dataset import read_dataset
from GDLACore.training.loss import IGNORED


def _changed(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


def test_label_values_become_class_numbers_in_the_order_of_the_structures(tmp_path: Path) -> None:
    dataset = read_dataset(write_dataset(tmp_path))
    volume, classes = dataset.read(dataset.training[0])
    stored = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a-labels.nii.gz")))
    assert volume.shape == classes.shape
    np.testing.assert_array_equal(classes == 1, stored == 5)
    np.testing.assert_array_equal(classes == 2, stored == 1)


def test_patients_are_either_learnt_from_or_held_out(tmp_path: Path) -> None:
    dataset = read_dataset(write_dataset(tmp_path))
    assert [case.id for case in dataset.training] == ["a"]
    assert [case.id for case in dataset.validation] == ["b"]


def test_validation_slices_are_hidden_from_training_and_the_rest_is_not(tmp_path: Path) -> None:
    def hide(data: dict[str, Any]) -> None:
        data["cases"][0]["validation_slices"] = [4, 7]

    dataset = read_dataset(_changed(write_dataset(tmp_path), hide))
    case = dataset.training[0]
    volume, classes = dataset.read(case)
    hidden = dataset.hide_validation(case, classes, slice_view(volume, "axial", "identity"))
    assert (hidden[4:7] == IGNORED).all()
    np.testing.assert_array_equal(np.delete(hidden, [4, 5, 6], 0), np.delete(classes, [4, 5, 6], 0))
    assert [case.id for case in dataset.validation] == ["a", "b"]


def test_slices_are_counted_across_the_slice_axis_however_the_volume_is_stored(
    tmp_path: Path,
) -> None:
    write_dataset(tmp_path)
    for kind in ("image", "labels"):
        path = str(tmp_path / f"a-{kind}.nii.gz")
        picture = sitk.PermuteAxes(sitk.ReadImage(path), (2, 0, 1))
        sitk.WriteImage(picture, path)

    def hide(data: dict[str, Any]) -> None:
        data["cases"][0]["validation_slices"] = [4, 7]

    dataset = read_dataset(_changed(tmp_path / "dataset.yaml", hide))
    case = dataset.training[0]
    volume, classes = dataset.read(case)
    view = slice_view(volume, "axial", "identity")
    assert view.axes[0] == 2
    hidden = dataset.hide_validation(case, classes, view)
    assert (hidden[:, :, 4:7] == IGNORED).all()
    assert (hidden == IGNORED).sum() == hidden[:, :, 4:7].size


def test_more_slices_than_there_are_is_refused(tmp_path: Path) -> None:
    def beyond(data: dict[str, Any]) -> None:
        data["cases"][0]["validation_slices"] = [4, 13]

    dataset = read_dataset(_changed(write_dataset(tmp_path), beyond))
    volume, classes = dataset.read(dataset.training[0])
    with pytest.raises(TrainingError, match="has 12 slices"):
        dataset.hide_validation(
            dataset.training[0], classes, slice_view(volume, "axial", "identity")
        )


def test_structures_a_case_was_not_annotated_for_are_unknown_there(tmp_path: Path) -> None:
    def forget(data: dict[str, Any]) -> None:
        data["cases"][0]["unknown"] = ["spleen"]
        del data["cases"][0]["values"]["spleen"]

    dataset = read_dataset(_changed(write_dataset(tmp_path), forget))
    assert dataset.known(dataset.training[0]).tolist() == [True, True, False]


FAULTS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "no cases": (lambda d: d.update(cases=[]), "cases"),
    "no structures": (lambda d: d.update(structures=[]), "structures"),
    "a structure twice": (lambda d: d.update(auxiliary=["liver"]), "twice"),
    "an unknown field": (lambda d: d.update(labels=[]), "labels"),
    "a held-out patient who does not exist": (lambda d: d.update(validation_patients=["z"]), "z"),
    "everybody held out": (lambda d: d.update(validation_patients=["a", "b"]), "nothing is left"),
    "an id twice": (lambda d: d["cases"][1].update(id="a"), "same id"),
    "a case without patient": (lambda d: d["cases"][0].pop("patient"), "patient"),
    "an image that does not exist": (lambda d: d["cases"][0].update(image="x.nii"), "x.nii"),
    "a value for an unlisted structure": (
        lambda d: d["cases"][0]["values"].update(heart=3),
        "heart",
    ),
    "a value given twice": (lambda d: d["cases"][0]["values"].update(spleen=5), "two structures"),
    "a value that is text": (lambda d: d["cases"][0]["values"].update(spleen="s"), "whole numbers"),
    "a structure both known and unknown": (
        lambda d: d["cases"][0].update(unknown=["liver"]),
        "liver",
    ),
    "label values and something else": (
        lambda d: d["cases"][0].update(values={1: 5, "foo": 3}),
        r"names \['1', 'foo'\], which are no structures",
    ),
    "no value for a structure": (
        lambda d: d["cases"][0]["values"].update(spleen=[]),
        "gives 'spleen' no label value",
    ),
    "a value that is true": (
        lambda d: d["cases"][0]["values"].update(liver=True),
        "label values of 'liver' .* must be whole numbers above 0",
    ),
    "a weight beyond all floats": (lambda d: d["cases"][0].update(weight=10**400), "weight.*100"),
    "a weight that is true": (lambda d: d["cases"][0].update(weight=True), "`weight`.* not True"),
    "a name that no file can have": (
        lambda d: d["cases"][0].update(image=5000 * "a"),
        "image file .* does not exist",
    ),
    "a file of patients that no system has": (
        lambda d: d.update(validation_patients="\0"),
        "`validation_patients` cannot be read",
    ),
    "a patient of nothing": (lambda d: d["cases"][0].update(patient=None), "`patient` .* not None"),
    "an id of blanks": (lambda d: d["cases"][0].update(id="  "), "`id` of .* must be a name"),
    "labels of nothing": (lambda d: d["cases"][0].update(labels=None), "`labels` .* not None"),
    "an id in capitals and not": (lambda d: d["cases"][1].update(id="A"), "same id"),
    "an id that is the name of another's patient": (
        lambda d: (
            d["cases"][0].update(id="c", patient="b") or d["cases"][1].update(id="b", patient="d")
        ),
        "b in validation_patients .* is a patient, and the id of a case of patient d",
    ),
    "a weight of nothing": (lambda d: d["cases"][0].update(weight=0), "weight"),
    "slices the wrong way round": (lambda d: d["cases"][0].update(slices=[5, 2]), "slices"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_dataset_file_is_refused_and_the_fault_named(tmp_path: Path, fault: str) -> None:
    change, complaint = FAULTS[fault]
    with pytest.raises(TrainingError, match=complaint):
        read_dataset(_changed(write_dataset(tmp_path), change))


def test_a_patient_is_one_however_the_name_is_spelled(tmp_path: Path) -> None:
    def spell(data: dict[str, Any]) -> None:
        data["cases"][0].update(id="p1", patient="P1")  # the patient counts, not the case
        data["cases"][1].update(patient="p1 ")
        data["validation_patients"] = ["b"]

    path = _changed(write_dataset(tmp_path), spell)
    with pytest.raises(TrainingError, match="Patient P1 would be both in training .* validation"):
        read_dataset(path)
    dataset = read_dataset(_changed(path, lambda d: d.pop("validation_patients")))
    assert {case.patient for case in dataset.training} == {"P1"}
    everybody = _changed(path, lambda d: d.update(test_patients=["p1"]))
    assert len(read_dataset(everybody).test) == 2


def test_a_label_map_on_another_grid_is_refused(tmp_path: Path) -> None:
    dataset = read_dataset(write_dataset(tmp_path))
    labels = sitk.ReadImage(str(tmp_path / "a-labels.nii.gz"))
    labels.SetSpacing((6.0, 6.0, 5.0))
    sitk.WriteImage(labels, str(tmp_path / "a-labels.nii.gz"))
    with pytest.raises(VolumeError, match="a-labels"):
        dataset.read(dataset.training[0])


def test_a_label_map_without_any_listed_value_is_refused(tmp_path: Path) -> None:
    dataset = read_dataset(write_dataset(tmp_path))
    labels = sitk.ReadImage(str(tmp_path / "a-labels.nii.gz"))
    sitk.WriteImage(0 * labels + 9, str(tmp_path / "a-labels.nii.gz"))
    with pytest.raises(TrainingError, match="a-labels"):
        dataset.read(dataset.training[0])
