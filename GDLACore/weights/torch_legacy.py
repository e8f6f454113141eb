"""PyTorch's file format before 1.6: five pickles one after the other, then the storages.

The pickles are a magic number, the format's version, facts about the machine that wrote it, the
object itself and the keys of its storages. Each storage is its number of elements (8 bytes) and
the elements, all with the low byte first. Nothing in such a file tells whether it was changed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

import numpy as np

from GDLACore.errors import ModelFileError
from GDLACore.model.file_access import AGAIN
from GDLACore.weights.pickled import LARGEST_PICKLE, PickleError, read_pickle
from GDLACore.weights.torch_objects import Storage, StorageTable, find

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_COUNT_BYTES = 8


class TorchLegacyFile:
    """An open file of the old format.

    ``content`` is the object the file was made of, with StoredTensors in the place of tensors;
    ``big_endian`` is always false.

    Raises ModelFileError and PickleError.
    """

    big_endian = False

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file = file
        self._path = path
        self._size = os.fstat(file.fileno()).st_size
        table = StorageTable()
        file.seek(0)
        data = file.read(min(LARGEST_PICKLE, self._size))
        position, values = 0, []
        for wanted in (_MAGIC_NUMBER, _VERSION, None, None, None):
            value, position = read_pickle(data, position, find, table.resolve)
            if wanted not in (None, value):
                raise PickleError("not the start of a PyTorch file")
            values.append(value)
        self.content: Any = values[3]
        self._starts = self._find_storages(position, values[4], table)

    def read(self, storage: Storage) -> np.ndarray:
        """Return the bytes of ``storage``, uint8 [nbytes]."""
        if storage.key not in self._starts:
            raise PickleError("a storage that is not in the file")
        self._file.seek(self._starts[storage.key])
        data = np.empty(storage.nbytes, np.uint8)
        if self._file.readinto(memoryview(data)) < storage.nbytes:
            raise self._cut_off()
        return data

    def check_rest(self) -> None:
        """Do nothing: whether there is enough of the file was found out at the start."""

    def _find_storages(self, position: int, keys: Any, table: StorageTable) -> dict[str, int]:
        """Return where in the file each storage begins; all of them must be in it."""
        starts: dict[str, int] = {}
        if type(keys) is not list:
            raise PickleError("no list of storages")
        for key in keys:
            storage = table.storages.get(key) if type(key) is str else None
            if storage is None or key in starts:
                raise PickleError("a storage that no tensor refers to")
            self._file.seek(position)
            count = int.from_bytes(self._file.read(_COUNT_BYTES), "little")
            starts[key] = position + _COUNT_BYTES
            position = starts[key] + storage.nbytes
            if position > self._size:
                raise self._cut_off()
            if count != storage.count:
                raise PickleError("a storage of another size")
        return starts

    def _cut_off(self) -> ModelFileError:
        return ModelFileError(f"{self._path} is cut off.", AGAIN)
