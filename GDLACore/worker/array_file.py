"""Arrays as raw ``.npy`` files, which client and worker map into their memory."""

from __future__ import annotations

import errno
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from GDLACore.errors import WorkerError

# While a chunk of a turned volume is put in order, Slicer's window has to wait: a millisecond.
_CHUNK_BYTES = 512 << 10

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class WritingStopped(Exception):
    """The caller wanted no more of the file; it is gone."""


def write_array(
    path: Path, array: np.ndarray, go_on: Callable[[int, int], bool] = lambda done, total: True
) -> None:
    """Write ``array``, of any memory layout, as the new file ``path``, in C order.

    ``go_on`` is called after each chunk with the bytes done and their total; False stops.

    Raises WorkerError if there is not enough room or the file cannot be written, WritingStopped if
    ``go_on`` said so. No file is left then.
    """
    chunks = np.nditer(
        array,
        flags=["external_loop", "buffered", "zerosize_ok"],
        op_flags=[["readonly", "contig"]],
        order="C",
        buffersize=max(1, _CHUNK_BYTES // array.itemsize),
    )
    _write(path, array.dtype, array.shape, chunks, go_on)


def write_zeros(path: Path, dtype: type[np.generic], shape: tuple[int, ...]) -> np.memmap:
    """Write zeros as the new file ``path`` and return them, mapped for writing.

    The disk has room for all of them then. A file made by seeking would have holes, and a full disk
    would end the process (SIGBUS) when it writes into one.

    Raises WorkerError as ``write_array`` does.
    """
    kind = np.dtype(dtype)
    total = math.prod(shape) * kind.itemsize
    with _new_file(path, total) as file:
        _write_header(file, kind, shape)
        if not _reserved(file, total):
            zeros = bytes(min(total, _CHUNK_BYTES))
            for start in range(0, total, _CHUNK_BYTES):
                file.write(zeros[: total - start])
    return np.lib.format.open_memmap(path, mode="r+")


def map_array(path: Path) -> np.ndarray:
    """Return the array in the file ``path``, read-only, read from the disk as it is used.

    Raises WorkerError if somebody has removed or changed it.
    """
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise WorkerError(
            f"The temporary file {path} cannot be read: {error}.",
            "Leave temporary files alone while the program is running.",
        ) from error


def _write(
    path: Path,
    dtype: np.dtype,
    shape: tuple[int, ...],
    chunks: Iterator[np.ndarray],
    go_on: Callable[[int, int], bool],
) -> None:
    total = math.prod(shape) * dtype.itemsize
    with _new_file(path, total) as file:
        _write_header(file, dtype, shape)
        done = 0
        for chunk in chunks:
            file.write(chunk.view(np.uint8).data)
            done += chunk.nbytes
            if not go_on(done, total):
                raise WritingStopped


def _write_header(file: BinaryIO, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    descr = np.lib.format.dtype_to_descr(dtype)
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _reserved(file: BinaryIO, count: int) -> bool:
    """Extend ``file`` by ``count`` zeros that have their room on the disk, in no time.

    Returns False, with the file as it was, where the system cannot; raises OSError if it is full.
    """
    if not hasattr(os, "posix_fallocate"):
        return False
    file.flush()
    try:
        os.posix_fallocate(file.fileno(), file.tell(), count)
    except OSError as error:
        if error.errno in _FULL:
            raise
        return False
    return True


@contextmanager
def _new_file(path: Path, needed: int) -> Iterator[BinaryIO]:
    """Open ``path`` for writing ``needed`` bytes; after any failure there is no file."""
    try:
        if shutil.disk_usage(path.parent).free < needed:
            raise OSError(errno.ENOSPC, "")
        with path.open("xb") as file:
            yield file
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritable(path.parent, needed, error) from error
        raise


def _unwritable(folder: Path, needed: int, error: OSError) -> WorkerError:
    if error.errno in _FULL:
        return WorkerError(
            f"There is no room for {_size(needed)} of temporary files in {folder}.",
            "Free some space there, or choose another folder for temporary files.",
        )
    return WorkerError(
        f"Temporary files cannot be written in {folder}: {error.strerror or error}.",
        "Check that the folder is there and may be written to, or choose another.",
    )


def _size(count: int) -> str:
    return f"{count / 1e6:,.0f} MB" if count >= 1e6 else f"{count:,} bytes"
