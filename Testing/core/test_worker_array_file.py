"""Arrays of any layout arrive in a file as they are, and no file is left where they do not."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from GDLACore.errors import WorkerError
from GDLACore.worker import array_file
from GDLACore.worker.array_file import WritingStopped, map_array, write_array, write_zeros


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "array.npy"


STORED = np.random.default_rng(5).integers(-1000, 1000, (7, 6, 5))


@pytest.mark.parametrize("dtype", ["i2", ">i2", "u1", "f4", "f8", "?", "i8", "f2"])
def test_every_kind_of_number_keeps_its_type(path, dtype):
    array = STORED.astype(dtype)
    write_array(path, array)
    assert map_array(path).dtype == array.dtype
    np.testing.assert_array_equal(map_array(path), array)


@pytest.mark.parametrize(
    "view",
    [
        STORED[::2, ::-1, 1:],
        STORED.transpose(2, 0, 1),
        np.asfortranarray(STORED),
        np.broadcast_to(STORED[:1], (4, 6, 5)),
        STORED[:, :, :3, None].repeat(3, axis=3)[..., ::-1],
        STORED[:1, :1, :1],
    ],
    ids=["flipped", "transposed", "Fortran", "broadcast", "color", "one voxel"],
)
def test_any_view_of_memory_is_written_in_its_own_order(path, view, monkeypatch):
    monkeypatch.setattr(array_file, "_CHUNK_BYTES", 100)  # so that it takes several chunks
    write_array(path, view)
    np.testing.assert_array_equal(map_array(path), view)
    assert np.load(path).flags.c_contiguous


def test_progress_is_told_after_each_chunk_up_to_the_end(path, monkeypatch):
    monkeypatch.setattr(array_file, "_CHUNK_BYTES", 400)
    told = []
    write_array(path, STORED, lambda done, total: told.append((done, total)) or True)
    assert [total for _, total in told] == [STORED.nbytes] * len(told)
    assert [done for done, _ in told] == [*range(400, STORED.nbytes, 400), STORED.nbytes]


def test_writing_stops_when_asked_and_leaves_no_file(path, monkeypatch):
    monkeypatch.setattr(array_file, "_CHUNK_BYTES", 400)
    told = []
    with pytest.raises(WritingStopped):
        write_array(path, STORED, lambda done, total: told.append(done) or len(told) < 2)
    assert told == [400, 800]
    assert not path.exists()


def not_supported(*_: object) -> None:
    raise OSError(errno.EOPNOTSUPP, "Operation not supported")


@pytest.fixture(params=["as here", "where it is not supported", "where nobody knows of it"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Systems that can reserve room on the disk, and others."""
    if request.param == "where it is not supported":
        monkeypatch.setattr(os, "posix_fallocate", not_supported, raising=False)
    elif request.param == "where nobody knows of it":
        monkeypatch.delattr(os, "posix_fallocate", raising=False)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16])
def test_zeros_take_their_room_on_the_disk_at_once_and_can_be_written_to(path, dtype, system):
    labels = write_zeros(path, dtype, (300, 40, 50))
    assert (labels.dtype, labels.shape, labels.any()) == (dtype, (300, 40, 50), False)
    if hasattr(path.stat(), "st_blocks"):
        assert path.stat().st_blocks * 512 >= labels.nbytes
    seen = map_array(path)
    labels[7, 3] = 2
    assert (seen == labels).all() and seen[7, 3, 0] == 2
    assert not seen.flags.writeable


def test_too_little_room_is_told_before_anything_is_written(path, monkeypatch):
    free = SimpleNamespace(free=STORED.nbytes - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: free)
    with pytest.raises(WorkerError) as refused:
        write_array(path, STORED)
    assert refused.value.message == (
        f"There is no room for 1,680 bytes of temporary files in {path.parent}."
    )
    assert "Free some space" in refused.value.hint
    assert not path.exists()
    free.free += 1
    write_array(path, STORED)


def test_room_that_is_gone_when_it_is_reserved_is_told(path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(WorkerError, match="There is no room for 24 bytes"):
        write_zeros(path, np.uint8, (2, 3, 4))
    assert not path.exists()


def test_no_zeros_are_a_file_too(path, system):
    assert write_zeros(path, np.uint8, (0, 3, 4)).shape == (0, 3, 4)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_disk_that_fills_up_meanwhile_is_told_and_the_piece_removed(path, number):
    def fill_up(done: int, total: int) -> bool:
        raise OSError(number, "full")

    with pytest.raises(WorkerError, match="There is no room for 1,680 bytes"):
        write_array(path, STORED, fill_up)
    assert not path.exists()


def test_a_folder_that_is_gone_is_told(tmp_path):
    with pytest.raises(WorkerError, match=r"cannot be written in .*nowhere: No such file"):
        write_array(tmp_path / "nowhere" / "array.npy", STORED)


def test_a_file_that_was_removed_or_cut_off_is_told(path):
    with pytest.raises(WorkerError, match=r"array\.npy cannot be read: .*No such file"):
        map_array(path)
    write_array(path, STORED)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(WorkerError, match=r"array\.npy cannot be read"):
        map_array(path)


def test_pickled_objects_are_not_read(path):
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(WorkerError, match="cannot be read"):
        map_array(path)
