from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from layout_files import arrays, card_of, change, write_layout, write_nifti_pair

from GDLACore.errors import OutputError
from GDLACore.training.case_cache import content_key
from GDLACore.training.dataset import Dataset, read_dataset


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
