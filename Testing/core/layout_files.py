"""Small data sets in each layout, whole and in order, for tests to read or to break."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from phantom import make_card

from GDLACore.model.card import IntensityProfile, ModelCard
from GDLACore.model.catalogue import find

yaml = pytest.importorskip("yaml")

SIDE = 32
SEGMENTS = {
    "Segment0_ID": "Segment_1",
    "Segment0_Name": "Spleen",
    "Segment0_LabelValue": "1",
    "Segment0_Layer": "0",
    "Segment0_Tags": "TerminologyEntry:list~SCT^123037004^Anatomical Structure~"
    "SCT^78961009^Spleen~SCT^7771000^Left~list~^^~^^|",
    "Segment1_ID": "Segment_2",
    "Segment1_Name": "my liver",
    "Segment1_LabelValue": "1",
    "Segment1_Layer": "1",
    "Segment1_Tags": "TerminologyEntry:list~SCT^123037004^Anatomical Structure~"
    "SCT^10200004^Liver~^^~list~^^~^^|",
}


def card_of(layout: str) -> ModelCard:
    """Return the card a network of this layout's data has."""
    if layout == "pairs":
        return make_card(("Liver", "Spleen"))
    if layout != "kvasir":
        return find(layout).card
    return dataclasses.replace(
        make_card(("Polyp",)),
        modality="RGB",
        in_channels=3,
        slice_axis="acquisition",
        resampling="antialias",
        intensity=IntensityProfile("minmax_image"),
    )


def write_layout(folder: Path, layout: str, **settings: Any) -> Path:
    """Write a data set to ``folder``/data and the file describing it; return that file."""
    data = folder / "data"
    data.mkdir(parents=True)
    defaults = _WRITERS[layout](data)
    path = folder / "dataset.yaml"
    content = {"layout": layout, "folder": "data", **defaults, **settings}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def change(path: Path, **settings: Any) -> None:
    """Change fields of a dataset file; None takes one away."""
    data = yaml.safe_load(path.read_text(encoding="utf-8")) | settings
    kept = {name: value for name, value in data.items() if value is not None}
    path.write_text(yaml.safe_dump(kept), encoding="utf-8")


def arrays(seed: int, slices: int | None, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an image within 0 ... 1 and a label of all classes: [slices, SIDE, SIDE - 4]."""
    shape = (SIDE, SIDE - 4) if slices is None else (slices, SIDE, SIDE - 4)
    image = np.random.default_rng(seed).random(shape, np.float32)
    label = np.zeros(shape, np.float32)
    label[..., 4:20, 4:20] = np.arange(16 * 16).reshape(16, 16) % (classes + 1)
    return image, label


def write_h5(path: Path, **content: np.ndarray) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, array in content.items():
            file[name] = array


def write_picture(path: Path, array: np.ndarray) -> None:
    """Write uint8 or uint16 [rows, columns] or [rows, columns, channels] as its ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=array.ndim == 3), str(path))


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE + 8, 3), np.uint8)


def mask(top: int = 8, white: int = 255) -> np.ndarray:
    array = np.zeros((SIDE, SIDE + 8), np.uint8)
    array[top : top + 10, 10:20] = white
    return array


def _synapse(folder: Path) -> dict[str, Any]:
    (folder / "train_npz").mkdir()
    (folder / "test_vol_h5").mkdir()
    for patient, slices in ((5, 3), (6, 2)):
        for number in range(slices):
            image, label = arrays(10 * patient + number, None, 8)
            name = f"case{patient:04}_slice{number:03}.npz"
            np.savez(folder / "train_npz" / name, image=image, label=label)
    image, label = arrays(1, 4, 8)
    write_h5(folder / "test_vol_h5" / "case0001.npy.h5", image=image, label=label)
    return {"split": "published"}


def _acdc(folder: Path) -> dict[str, Any]:
    for split, patient in (("train", 1), ("train", 2), ("valid", 19)):
        (folder / split).mkdir(exist_ok=True)
        for phase in ("ED", "ES"):
            for number in range(2):
                image, label = arrays(10 * patient + number, None, 3)
                name = f"case_{patient:03}_slice{phase}_{number}.npz"
                np.savez(folder / split / name, img=image, label=label)
    (folder / "test").mkdir()
    image, label = arrays(3, 5, 3)
    np.savez(folder / "test" / "case_003_volume_ED.npz", img=image, label=label)
    return {"split": "folders"}


def _busi(folder: Path) -> dict[str, Any]:
    for number in range(1, 4):
        write_picture(folder / "benign" / f"benign ({number}).png", picture(number))
        write_picture(folder / "benign" / f"benign ({number})_mask.png", mask())
    write_picture(folder / "benign" / "benign (1)_mask_1.png", mask(20))
    write_picture(folder / "normal" / "normal (1).png", picture(9))
    write_picture(folder / "normal" / "normal (1)_mask.png", mask(white=0))
    return {"split": {"validation": 0.25, "test": 0.25, "seed": 1}}


def _ham10000(folder: Path) -> dict[str, Any]:
    rows = ["lesion_id,image_id,dx"]
    for number in range(4):
        name = f"ISIC_{number:07}"
        write_picture(folder / "images" / f"{name}.jpg", picture(number))
        write_picture(folder / "masks" / f"{name}_segmentation.png", mask())
        rows.append(f"HAM_{number // 2:07},{name},nv")
    (folder / "HAM10000_metadata.csv").write_text("\n".join(rows), encoding="utf-8")
    return {"test_patients": ["HAM_0000001"]}


def _ph2(folder: Path) -> dict[str, Any]:
    for number in range(2, 5):
        name = f"IMD{number:03}"
        write_picture(folder / name / f"{name}_Dermoscopic_Image" / f"{name}.bmp", picture(number))
        write_picture(folder / name / f"{name}_lesion" / f"{name}_lesion.bmp", mask())
        write_picture(folder / name / f"{name}_roi" / f"{name}_R1_Label3.bmp", picture(0))
    return {"validation_patients": ["IMD003"], "test_patients": ["IMD004"]}


def _kvasir(folder: Path) -> dict[str, Any]:
    for number in range(3):
        write_picture(folder / "images" / f"cju{number}.jpg", picture(number))
        grey = np.repeat(mask()[..., None], 3, axis=2)
        write_picture(folder / "masks" / f"cju{number}.jpg", grey)
    return {"validation_patients": ["cju1"]}


def _pairs(folder: Path) -> dict[str, Any]:
    for name in ("P1_a", "P1_b", "P2_a"):
        write_nifti_pair(folder, name)
    return {
        "structures": ["Liver", "Spleen"],
        "images": "images/{id}.nii.gz",
        "labels": "labels/{id}-seg.nii.gz",
        "patient": "(P[0-9]+)_.*",
        "values": {"Liver": 7, "Spleen": [1, 2]},
        "validation_patients": ["P2"],
    }


def write_nifti_pair(folder: Path, name: str) -> None:
    """Write an image, and its labels on a grid that runs the other way along j."""
    image, label = arrays(len(name), 4, 2)
    stored = np.where(label == 1, 7, label).astype(np.uint8)
    for kind, array, end in (("images", image * 400, ""), ("labels", stored[:, ::-1], "-seg")):
        (folder / kind).mkdir(exist_ok=True)
        picture = sitk.GetImageFromArray(array)
        picture.SetSpacing((2.0, 3.0, 5.0))
        if kind == "labels":
            picture.SetOrigin((0.0, 3.0 * (SIDE - 1), 0.0))
            picture.SetDirection((1, 0, 0, 0, -1, 0, 0, 0, 1))
        sitk.WriteImage(picture, str(folder / kind / f"{name}{end}.nii.gz"))


def write_segmentation(path: Path, layers: np.ndarray, **fields: str) -> None:
    """Write uint8 [k, j, i, layer] as 3D Slicer does segments that overlap."""
    image = sitk.GetImageFromArray(layers, isVector=True)
    image.SetSpacing((2.0, 3.0, 5.0))
    for key, value in {**SEGMENTS, **fields}.items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path))


_WRITERS = {
    "synapse": _synapse,
    "acdc": _acdc,
    "busi": _busi,
    "ham10000": _ham10000,
    "ph2": _ph2,
    "kvasir": _kvasir,
    "pairs": _pairs,
}
