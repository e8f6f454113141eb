from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from layout_files import arrays, card_of, change, write_layout, write_nifti_pair, yaml

from GDLACore.errors import OutputError, TrainingError
from GDLACore.training.case_cache import content_key
from GDLACore.training.dataset import Dataset, read_dataset
from GDLACore.training.file_hash import sha256


def _files(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}


def test_volumes_are_mapped_from_the_cache_and_hold_what_their_files_do(tmp_path: Path) -> None:
    dataset = read_dataset(write_layout(tmp_path, "pairs"))
    cached = dataset.cached_in(tmp_path / "run" / "cache")
    for case in (*dataset.training, *dataset.validation):
        volume, classes = dataset.read(case)
        for _ in range(2):
            mapped, mapped_classes = cached.read(case)
            assert isinstance(mapped.array, np.memmap) and isinstance(mapped_classes, np.memmap)
            np.testing.assert_array_equal(mapped.array, volume.array)
            np.testing.assert_array_equal(mapped_classes, classes)
            np.testing.assert_array_equal(mapped.ijk_to_ras, volume.ijk_to_ras)
            assert (mapped.name, mapped.array.dtype) == (case.id, volume.array.dtype)


def test_all_slices_of_a_volume_share_one_copy_that_a_check_has_made(tmp_path: Path) -> None:
    dataset = read_dataset(write_layout(tmp_path, "synapse")).cached_in(tmp_path / "cache")
    dataset.check(card_of("synapse"))
    before = _files(tmp_path / "cache")
    assert len(before) == 3 * 3  # files of three volumes
    for case in (*dataset.training, *dataset.test):
        assert isinstance(dataset.read(case)[0].array, np.memmap)
    assert _files(tmp_path / "cache") == before


def test_pictures_are_not_copied(tmp_path: Path) -> None:
    dataset = read_dataset(write_layout(tmp_path, "busi")).cached_in(tmp_path / "cache")
    dataset.check(card_of("busi"))
    assert not (tmp_path / "cache").exists()


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    dataset = read_dataset(write_layout(tmp_path, "pairs")).cached_in(tmp_path / "cache")
    case = dataset.training[0]
    before, split = dataset.read(case)[0].array.copy(), dataset.split_sha256
    write_nifti_pair(tmp_path / "data", "P1_aaa")
    for kind, end in (("images", ""), ("labels", "-seg")):
        folder = tmp_path / "data" / kind
        os.replace(folder / f"P1_aaa{end}.nii.gz", folder / f"P1_a{end}.nii.gz")
    after = dataset.read(case)[0].array
    np.testing.assert_array_equal(after, arrays(6, 4, 2)[0] * 400)
    assert not np.array_equal(before, after)
    assert dataset.split_sha256 != split


@pytest.mark.parametrize("kind", [".json", "-image.npy", "-classes.npy"])
@pytest.mark.parametrize("share", [None, 0.5])
def test_an_entry_that_is_not_whole_is_made_again(
    tmp_path: Path, kind: str, share: float | None
) -> None:
    dataset = read_dataset(write_layout(tmp_path, "pairs")).cached_in(tmp_path / "cache")
    case = dataset.training[0]
    expected = dataset.read(case)[1].copy()
    file = tmp_path / "cache" / f"{content_key(case, dataset.names)}{kind}"
    content = file.read_bytes()
    file.unlink()
    if share is not None:
        file.write_bytes(content[: int(len(content) * share)])
    np.testing.assert_array_equal(dataset.read(case)[1], expected)
    assert file.read_bytes() == content


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    dataset = read_dataset(write_layout(tmp_path, "pairs")).cached_in(tmp_path / "file" / "cache")
    with pytest.raises(OutputError, match="cache cannot be written"):
        dataset.read(dataset.training[0])


def _splits(path: Path, **settings: object) -> Dataset:
    change(path, **settings)
    return read_dataset(path)


def test_the_hash_of_a_split_tells_who_is_where_but_not_where_the_files_lie(tmp_path: Path) -> None:
    here = write_layout(tmp_path / "here", "ph2")
    there = write_layout(tmp_path / "there", "ph2")
    first = read_dataset(here).split_sha256
    assert read_dataset(there).split_sha256 == first
    others = {
        _splits(there, test_patients=[]).split_sha256,
        _splits(there, test_patients=["IMD003"], validation_patients=["IMD004"]).split_sha256,
        _splits(here, masks="half").split_sha256,
    }
    assert len(others | {first}) == 4


def _detached(folder: Path, kind: str, value: int) -> tuple[str, Path]:
    """Write a volume whose header says nothing of its values; return its name and that of these."""
    folder.mkdir()
    array = np.full((4, 32, 28), value, np.uint8)
    array.tofile(folder / "pixels.raw")
    for k, part in enumerate(array):
        part.tofile(folder / f"slice{k:02}.raw")
    slices = "".join(f"\nslice{k:02}.raw" for k in range(4))
    meta = "ObjectType = Image\nNDims = 3\nDimSize = 28 32 4\nElementType = MET_UCHAR\n"
    nrrd = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 28 32 4\nencoding: raw\n"
    headers = {
        "mhd": f"{meta}ElementDataFile = pixels.raw\n",
        "mhd of slices": f"{meta}ElementDataFile = LIST{slices}\n",
        "mhd of numbers": f"{meta}ElementDataFile = slice%02d.raw 0 3 1\n",
        "nhdr": f"{nrrd}data file: pixels.raw\n",
        "nhdr of slices": f"{nrrd}data file: LIST{slices}\n",
        "nhdr of numbers": f"{nrrd}data file: slice%02d.raw 0 3 1\n",
    }
    if kind == "hdr":
        sitk.WriteImage(sitk.GetImageFromArray(array), str(folder / "image.img"))
        return "image.hdr", folder / "image.img"
    name = f"image.{kind.split()[0]}"
    (folder / name).write_text(headers[kind])
    return name, folder / ("slice02.raw" if "of" in kind else "pixels.raw")


@pytest.mark.parametrize(
    "kind",
    ["mhd", "mhd of slices", "mhd of numbers", "nhdr", "nhdr of slices", "nhdr of numbers", "hdr"],
)
def test_patients_whose_headers_are_equal_keep_their_own_pixels(tmp_path: Path, kind: str) -> None:
    cases = []
    for patient, value in (("a", 1), ("b", 2)):
        name, pixels = _detached(tmp_path / patient, kind, value)
        file = f"{patient}/{name}"
        case = {"id": patient, "patient": patient, "image": file, "labels": file}
        cases.append({**case, "values": {"Liver": [1, 2]}})
    path = tmp_path / "dataset.yaml"
    path.write_text(yaml.safe_dump({"structures": ["Liver"], "cases": cases}), encoding="utf-8")
    dataset = read_dataset(path).cached_in(tmp_path / "cache")
    assert [dataset.read(case)[0].array.max() for case in dataset.training] == [1, 2]
    before = dataset.split_sha256
    content = bytearray(pixels.read_bytes())
    content[-1] = 3
    pixels.write_bytes(content)
    assert dataset.split_sha256 != before
    assert dataset.read(dataset.training[1])[0].array.max() == 3


def test_pixels_that_are_not_there_are_named(tmp_path: Path) -> None:
    for kind, complaint in (("mhd", r"pixels.raw cannot be read"), ("nhdr of numbers", r"no such")):
        name, _ = _detached(tmp_path / kind, kind, 1)
        for file in (tmp_path / kind).glob("*.raw"):
            file.unlink()
        with pytest.raises(TrainingError, match=complaint):
            sha256(tmp_path / kind / name)


def test_the_hash_of_a_folder_tells_of_the_folders_in_it(tmp_path: Path) -> None:
    (tmp_path / "series" / "part").mkdir(parents=True)
    file = tmp_path / "series" / "part" / "1.dcm"
    file.write_bytes(b"1")
    first = sha256(tmp_path / "series")
    file.write_bytes(b"22")
    second = sha256(tmp_path / "series")
    file.rename(tmp_path / "series" / "1.dcm")
    assert len({first, second, sha256(tmp_path / "series")}) == 3


def test_the_same_files_with_other_label_values_are_no_copies(tmp_path: Path) -> None:
    path = write_layout(tmp_path, "pairs")
    first = read_dataset(path).cached_in(tmp_path / "cache")
    classes = first.read(first.training[0])[1]
    change(path, values={"Liver": 2, "Spleen": 7})
    second = read_dataset(path).cached_in(tmp_path / "cache")
    swapped = second.read(second.training[0])[1]
    np.testing.assert_array_equal(swapped == 2, classes == 1)


def test_a_volume_with_spacing_and_one_without_are_no_copies(tmp_path: Path) -> None:
    dataset = read_dataset(write_layout(tmp_path, "pairs"))
    volume = dataset.training[0]
    picture = replace(volume, image=shutil.copy(volume.image, tmp_path / "a.tif"))
    assert (volume.spacing_known, picture.spacing_known) == (True, False)
    assert content_key(volume, dataset.names) != content_key(picture, dataset.names)


def test_the_hash_of_a_split_tells_the_names_of_the_structures(tmp_path: Path) -> None:
    path = write_layout(tmp_path, "ph2")
    first = read_dataset(path).split_sha256
    assert _splits(path, structures=["Mole"]).split_sha256 != first
