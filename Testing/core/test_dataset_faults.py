"""Broken data of every kind, refused with the file named before a training starts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from layout_files import (
    arrays,
    card_of,
    change,
    mask,
    picture,
    write_h5,
    write_layout,
    write_nifti_pair,
    write_picture,
    write_segmentation,
)
from training_data import write_plan

from GDLACore.errors import TrainingError, VolumeError
from GDLACore.model.catalogue import find
from GDLACore.training.dataset import read_dataset

Break = Callable[[Path], None]  # of the folder that holds dataset.yaml and data/

TRAIN = "data/train_npz/case0005_slice001.npz"
VOLUME = "data/test_vol_h5/case0001.npy.h5"
BENIGN = "data/benign/benign (2)"


def _npz(**changes: np.ndarray | None) -> Break:
    """Replace, add or (None) take away arrays of one slice."""

    def spoil(folder: Path) -> None:
        image, label = arrays(51, None, 8)
        content = {"image": image, "label": label, **changes}
        kept = {name: array for name, array in content.items() if array is not None}
        np.savez(folder / TRAIN, **kept)

    return spoil


def _cut(name: str, share: float = 0.5) -> Break:
    def spoil(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * share)])

    return spoil


def _gone(name: str) -> Break:
    def spoil(folder: Path) -> None:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def _moved(name: str, target: str) -> Break:
    def spoil(folder: Path) -> None:
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).rename(folder / target)

    return spoil


def _copied(name: str, target: str) -> Break:
    def spoil(folder: Path) -> None:
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / name, folder / target)

    return spoil


def _settings(**settings: object) -> Break:
    return lambda folder: change(folder / "dataset.yaml", **settings)


def _settings_of_nothing(folder: Path) -> None:
    path = folder / "dataset.yaml"
    path.write_text(path.read_text().replace("folder: data", "folder: null"), encoding="utf-8")


def _text(name: str, text: str) -> Break:
    return lambda folder: (folder / name).write_text(text, encoding="utf-8") and None


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder / "data")
    (folder / "data").mkdir()


def _with(array: np.ndarray, position: tuple[int, int], value: float) -> np.ndarray:
    array = array.copy()
    array[position] = value
    return array


def _all_labels_empty(folder: Path) -> None:
    for file in sorted((folder / "data").rglob("*.npz")):
        image, label = arrays(1, None, 8)
        np.savez(file, image=image, label=0 * label)


def _nifti(name: str, array: np.ndarray) -> Break:
    def spoil(folder: Path) -> None:
        old = sitk.ReadImage(str(folder / name))
        new = sitk.GetImageFromArray(array)
        new.SetSpacing(old.GetSpacing())
        sitk.WriteImage(new, str(folder / name))

    return spoil


def _segments(**values: object) -> Break:
    """Put segmentations in the place of label maps."""

    def spoil(folder: Path) -> None:
        for name in ("P1_a", "P1_b", "P2_a"):
            path = folder / "data" / "labels" / f"{name}.seg.nrrd"
            write_segmentation(path, np.ones((4, 32, 28, 2), np.uint8))
        change(folder / "dataset.yaml", labels="labels/{id}.seg.nrrd", values=values)

    return spoil


IMAGE, LABEL = arrays(51, None, 8)
NIFTI = arrays(4, 4, 2)[0]
LAST = np.zeros((32, 32, 20), np.float32)  # of 32 x 32 pixels
TALL = np.zeros((48, 40, 18), np.float32)
WHITE = np.full((32, 40), 255, np.uint8)
BARE = {"split": None, "validation_patients": None, "test_patients": None}

# what is wrong -> (layout, how to break it, what the error must say)
FAULTS: dict[str, tuple[str, Break, str]] = {
    "no such folder": ("busi", _gone("data"), r"folder .*data does not exist"),
    "a file for a folder": ("busi", _settings(folder="dataset.yaml"), r"dataset.yaml is a file"),
    "an empty folder of pictures": ("busi", _emptied, r"data holds no pictures"),
    "an empty folder of arrays": ("acdc", _emptied, r"data holds no .npz or .h5 files"),
    "an empty folder of pairs": ("pairs", _emptied, r"No file below .*data matches"),
    "an unknown layout": ("busi", _settings(layout="brats"), r"'brats'.*Known layouts are synapse"),
    "an unknown field": ("busi", _settings(values={}), r"unknown field values"),
    "an unknown rule": ("busi", _settings(masks="third"), r"`masks` .* not 'third'"),
    "two structures for masks": ("busi", _settings(structures=["a", "b"]), r"2 structures"),
    # arrays
    "no image": ("synapse", _npz(image=None), r"slice001.npz has no array named image or img"),
    "no label": ("synapse", _npz(label=None, y=LABEL), r"no array named label.*holds image, y"),
    "an image of one row": ("synapse", _npz(image=IMAGE[:1]), r"slice001.npz has the shape \(1, 2"),
    "slices last": (
        "acdc",
        lambda f: np.savez(
            f / "data/test/case_003_volume_ED.npz", img=IMAGE[..., None], label=LABEL[..., None]
        ),
        r"volume_ED.npz has the shape .*neither \[rows, columns\]",
    ),
    "image and label of different shapes": (
        "synapse",
        _npz(label=LABEL[:-1]),
        r"slice001.npz have different shapes, \(1, 32, 28\) and \(1, 31, 28\)",
    ),
    "slices of different sizes": (
        "synapse",
        _npz(image=IMAGE[:-1], label=LABEL[:-1]),
        r"slice001.npz is 31 x 28, but case0005_slice000.npz",
    ),
    "not a number in an image": (
        "synapse",
        _npz(image=_with(IMAGE, (3, 3), np.nan)),
        r"slice001.npz has values that are no finite numbers",
    ),
    "HU where 0 to 1 is meant": ("synapse", _npz(image=IMAGE * 900), r"slice001.npz has values fr"),
    "a label value beyond the classes": (
        "synapse",
        _npz(label=_with(LABEL, (0, 0), 9)),
        r"slice001.npz has the value 9, but the structures are numbered 1 to 8",
    ),
    "a negative label value": (
        "synapse",
        _npz(label=_with(LABEL, (0, 0), -1)),
        r"slice001.npz has the value -1",
    ),
    "a label value between classes": (
        "synapse",
        _npz(label=_with(LABEL, (0, 0), 1.5)),
        r"slice001.npz has values that are not whole numbers",
    ),
    "labels that are not numbers": (
        "synapse",
        _npz(label=np.full((32, 28), "x")),
        r"slice001.npz holds something other than numbers",
    ),
    "pickled objects": (
        "synapse",
        _npz(label=np.array([[{"run": "me"}]], dtype=object)),
        r"slice001.npz holds Python objects",
    ),
    "a cut npz": ("synapse", _cut(TRAIN), r"slice001.npz is damaged"),
    "an empty npz": ("synapse", _cut(TRAIN, 0), r"slice001.npz is damaged"),
    "an array alone for an npz": (
        "synapse",
        lambda f: np.save((f / TRAIN).open("wb"), IMAGE),
        r"slice001.npz is damaged",
    ),
    "a cut h5": ("synapse", _cut(VOLUME), r"case0001.npy.h5 is damaged"),
    "a group for an array": (
        "synapse",
        lambda f: write_h5(f / VOLUME, **{"image/pixels": IMAGE, "label": LABEL}),
        r"case0001.npy.h5 has no array named image",
    ),
    "empty labels everywhere": ("synapse", _all_labels_empty, r"all training cases are empty"),
    "a name without a patient": (
        "synapse",
        _moved(TRAIN, "data/train_npz/slice7.npz"),
        r"slice7.npz does not say which patient",
    ),
    "a slice between others missing": (
        "synapse",
        _gone(TRAIN),
        r"Slice 1 of case0005 is missing in .*train_npz",
    ),
    "a slice that is there twice": (
        "synapse",
        _copied(TRAIN, "data/train_npz/CASE0005_slice1.npz"),
        r"same slice of case0005",
    ),
    "a volume whose slices are there, too": (
        "acdc",
        _copied("data/test/case_003_volume_ED.npz", "data/train/case_001_volume_ED.npz"),
        r"same id case_001_ED",
    ),
    "rows, columns, slices": (
        "acdc",
        lambda f: np.savez(
            f / "data/test/case_003_volume_ED.npz", img=LAST, label=np.zeros(LAST.shape, np.uint8)
        ),
        r"volume_ED.npz has the shape \(32, 32, 20\), which is neither",
    ),
    "many slices last": (
        "acdc",
        lambda f: np.savez(
            f / "data/test/case_003_volume_ED.npz", img=TALL, label=np.zeros(TALL.shape, np.uint8)
        ),
        r"volume_ED.npz has the shape \(48, 40, 18\), which is neither",
    ),
    "no folder": ("busi", _settings_of_nothing, r"`folder` of .*dataset.yaml must be a name"),
    # splits
    "a patient of two spellings": (
        "synapse",
        _moved(VOLUME, "data/test_vol_h5/case_5.npy.h5"),
        r"Patient case_5 .* test .*case_5.npy.h5.* training .*case0005_slice000.npz",
    ),
    "a patient in training and test": (
        "acdc",
        _moved("data/train/case_001_sliceES_1.npz", "data/test/case_001_sliceES_1.npz"),
        r"Patient case_001 .* test .*case_001_sliceES_1.npz.* training .*case_001_sliceED_0.npz|"
        r"Patient case_001 .* training .*case_001_sliceED_0.npz.* test .*case_001_sliceES_1.npz",
    ),
    "a lesion in training and test": (
        "ham10000",
        _settings(test_patients=["ISIC_0000003"]),
        r"Patient HAM_0000001 .*ISIC_0000002.jpg.*ISIC_0000003.jpg",
    ),
    "a patient who validates and tests": (
        "ph2",
        _settings(test_patients=["IMD003"]),
        r"IMD003 is in both validation_patients and test_patients",
    ),
    "a patient who does not exist": ("ph2", _settings(test_patients=["IMD9"]), r"IMD9.* no case"),
    "a list of patients that is not there": (
        "ph2",
        _settings(test_patients="test.txt"),
        r"test.txt of `test_patients` cannot be read",
    ),
    "lists and fractions": ("ph2", _settings(split={"test": 0.3}), r"both `split` and lists"),
    "a fraction of nobody": (
        "busi",
        _settings(split={"test": 0.01}),
        r"0.01 of 4 patients for test.* is nobody",
    ),
    "fractions that leave nobody": (
        "busi",
        _settings(split={"test": 0.5, "validation": 0.5}),
        r"nothing is left to learn from",
    ),
    "everybody for the test": (
        "ph2",
        _settings(test_patients=["IMD002", "IMD003", "IMD004"], validation_patients=None),
        r"nothing is left to learn from",
    ),
    "a fraction above 1": ("busi", _settings(split={"test": 20}), r"fraction below 1, not 20"),
    "a seed that is no number": (
        "busi",
        _settings(split={"test": 0.5, "seed": "x"}),
        r"`seed` .* not 'x'",
    ),
    "a way of splitting nobody knows": ("busi", _settings(split="random"), r"`split` in "),
    "folders that are no splits": (
        "busi",
        _settings(split="folders"),
        r"benign \(1\).png is in no",
    ),
    # pictures
    "a picture without a mask": (
        "busi",
        _gone(f"{BENIGN}_mask.png"),
        r"benign \(2\).png has no ma",
    ),
    "a mask without a picture": ("busi", _gone(f"{BENIGN}.png"), r"\(2\)_mask.png has no picture"),
    "a mask of another size": (
        "busi",
        lambda f: write_picture(f / f"{BENIGN}_mask.png", mask()[:20]),
        r"\(2\)_mask.png is 40 x 20 pixels, but its picture benign \(2\).png is 40 x 32",
    ),
    "a cut png": ("busi", _cut(f"{BENIGN}.png"), r"benign \(2\).png is damaged or cut off"),
    "a cut png mask": ("busi", _cut(f"{BENIGN}_mask.png"), r"\(2\)_mask.png is damaged or cut"),
    "a cut jpeg": ("ham10000", _cut("data/images/ISIC_0000001.jpg"), r"0000001.jpg is damaged"),
    "a cut bmp": (
        "ph2",
        _cut("data/IMD002/IMD002_Dermoscopic_Image/IMD002.bmp"),
        r"IMD002.bmp is damaged",
    ),
    "text for a picture": ("busi", _text(f"{BENIGN}.png", "none"), r"benign \(2\).png is not an"),
    "a black mask where there is always a lesion": (
        "kvasir",
        lambda f: write_picture(f / "data/masks/cju1.jpg", 0 * mask()),
        r"cju1.jpg marks nothing",
    ),
    "an id twice": (
        "busi",
        _copied(f"{BENIGN}.png", "data/malignant/BENIGN (2).jpg"),
        r"same id.*benign \(2\).png and .*BENIGN \(2\).jpg",
    ),
    "grey pictures where colour counts": (
        "ph2",
        lambda f: write_picture(
            f / "data/IMD002/IMD002_Dermoscopic_Image/IMD002.bmp", picture(1)[..., 0]
        ),
        r"IMD002 is a grey image",
    ),
    "a table without its columns": (
        "ham10000",
        _text("data/HAM10000_metadata.csv", "image,lesion\n"),
        r"HAM10000_metadata.csv has no columns",
    ),
    "a table that lacks a picture": (
        "ham10000",
        _text("data/HAM10000_metadata.csv", "lesion_id,image_id\nHAM_1,ISIC_0000000\n"),
        r"does not list ISIC_0000001",
    ),
    "a table cut in a row": (
        "ham10000",
        _cut("data/HAM10000_metadata.csv", 0.9),
        r"does not list ISIC_0000003",
    ),
    "a link to nowhere": (
        "kvasir",
        lambda f: (
            (_gone("data/images/cju1.jpg")(f), (f / "data/images/cju1.jpg").symlink_to("x"))
            and None
        ),
        r"cju1.jpg cannot be read: No such file",
    ),
    # pairs of volumes
    "an image without labels": (
        "pairs",
        _gone("data/labels/P1_b-seg.nii.gz"),
        r"P1_b.nii.gz has no labels",
    ),
    "labels without an image": (
        "pairs",
        _gone("data/images/P1_b.nii.gz"),
        r"P1_b-seg.nii.gz has no image",
    ),
    "a patient who cannot be read": (
        "pairs",
        _settings(patient="(Q[0-9]+)_.*"),
        r"P1_a.nii.gz does not say which patient",
    ),
    "a pattern without an id": ("pairs", _settings(images="*.nii"), r"`images` .* pattern with"),
    "an expression that is none": ("pairs", _settings(patient="(P"), r"no regular expression"),
    "an expression without a group": ("pairs", _settings(patient="P."), r"one group"),
    "no values": ("pairs", _settings(values=None), r"`values` .* must map"),
    "values of no structure": ("pairs", _settings(values={"Heart": 1}), r"'Heart'"),
    "a structure both known and unknown": ("pairs", _settings(unknown=["Liver"]), r"'Liver'.*both"),
    "a cut nifti": ("pairs", _cut("data/images/P1_b.nii.gz"), r"P1_b.nii.gz is damaged"),
    "labels of another shape": (
        "pairs",
        _nifti("data/labels/P1_b-seg.nii.gz", np.ones((5, 32, 28), np.uint8)),
        r"P1_b-seg.nii.gz is not on the grid",
    ),
    "labels of other values": (
        "pairs",
        _nifti("data/labels/P1_b-seg.nii.gz", np.full((4, 32, 28), 9, np.uint8)),
        r"P1_b-seg.nii.gz holds none of the values",
    ),
    "probabilities for labels": (
        "pairs",
        _nifti("data/labels/P1_b-seg.nii.gz", np.full((4, 32, 28), 0.5, np.float32)),
        r"P1_b-seg is not a label map",
    ),
    "not a number in a volume": (
        "pairs",
        _nifti("data/images/P1_b.nii.gz", np.where(NIFTI < 0.1, np.nan, NIFTI)),
        r"P1_b .*voxels that are no finite numbers",
    ),
    "a segment that is not there": (
        "pairs",
        _segments(Liver="Left ventricle"),
        r"P1_a.seg.nrrd has no segment 'Left ventricle'; it has Spleen, my liver",
    ),
    "numbers for segments that overlap": (
        "pairs",
        _segments(Liver=1, Spleen=2),
        r"P1_a.seg.nrrd stores overlapping segments in layers",
    ),
    "names and numbers of segments": (
        "pairs",
        _segments(Liver=1, Spleen="Spleen"),
        r"both numbers and names of segments",
    ),
    "a field that is text": ("busi", _text("dataset.yaml", "busi"), r"must hold named fields"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_data_are_refused_before_a_training_starts(tmp_path: Path, fault: str) -> None:
    layout, spoil, complaint = FAULTS[fault]
    path = write_layout(tmp_path, layout)
    spoil(tmp_path)
    with pytest.raises((TrainingError, VolumeError), match=complaint) as raised:
        read_dataset(path).check(card_of(layout))
    assert raised.value.message.count("\n") == 0 and raised.value.message.endswith(".")


def test_colour_pictures_do_not_suit_a_model_of_grey_ones(tmp_path: Path) -> None:
    path = write_layout(tmp_path, "busi", structures=["Liver", "Spleen"][:1])
    change(path, structures=["Liver"])
    card = card_of("pairs")
    card = type(card).from_dict({**card.to_dict(), "labels": card.to_dict()["labels"][:1]})
    with pytest.raises(VolumeError, match=r"benign \(\d\) is a colour image"):
        read_dataset(path).check(card)


def test_structures_in_another_order_than_the_cards_are_refused(tmp_path: Path) -> None:
    path = write_layout(tmp_path, "pairs")
    change(path, structures=["Spleen", "Liver"])
    with pytest.raises(TrainingError, match="card's labels"):
        read_dataset(path).check(card_of("pairs"))


def test_slices_beyond_a_volume_are_refused(tmp_path: Path) -> None:
    write_nifti_pair(tmp_path, "P1")
    path = tmp_path / "dataset.yaml"
    path.write_text(
        "{structures: [Liver, Spleen], cases: [{id: a, patient: p, image: images/P1.nii.gz,"
        " labels: labels/P1-seg.nii.gz, values: {Liver: 7, Spleen: 1}, slices: [2, 5]}]}",
        encoding="utf-8",
    )
    with pytest.raises(TrainingError, match="Case a has 4 slices"):
        read_dataset(path).check(card_of("pairs"))


def test_the_same_picture_in_training_and_test_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_layout(tmp_path, "kvasir")
    write_picture(tmp_path / "data" / "images" / "cju1.jpg", picture(0))
    read_dataset(path).check(card_of("kvasir"))
    assert "cju0 (training) is that of cju1 (validation)" in caplog.text


def test_the_same_arrays_in_training_and_test_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_layout(tmp_path, "acdc")
    volume = "case_{:03}_volume_ED.npz"
    for split, patient in (("train", 8), ("test", 9)):
        shutil.copy(
            tmp_path / "data/test" / volume.format(3),
            tmp_path / "data" / split / volume.format(patient),
        )
    read_dataset(path).check(card_of("acdc"))
    assert "case_008_ED_slice000 (training) is that of case_003_ED (test)" in caplog.text


def test_a_structure_nobody_shows_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_layout(tmp_path, "pairs")
    change(path, values={"Liver": 7})
    read_dataset(path).check(card_of("pairs"))
    assert "No case to learn from shows: Spleen." in caplog.text


def test_h5_without_its_reader_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_layout(tmp_path, "synapse")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(TrainingError, match=r"case0001.npy.h5 is an HDF5 file.*pip install h5py"):
        read_dataset(path).check(find("synapse").card)


def test_a_training_is_refused_before_anything_is_said_to_be_trained(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from GDLACore.training.command import train

    plan = write_plan(tmp_path)
    _cut("b-labels.nii.gz")(tmp_path)
    with pytest.raises(VolumeError, match=r"b-labels.nii.gz is damaged"):
        train(plan, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run" / "run.json").exists()
