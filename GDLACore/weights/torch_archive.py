"""PyTorch's file format since 1.6: an uncompressed zip archive of one pickle and the storages.

The checksum of every entry is compared, also of those that hold no weights. PyTorch itself does
not, and a weight changed on its way here would go unnoticed.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from GDLACore.errors import ModelFileError
from GDLACore.model.file_access import AGAIN, printable
from GDLACore.weights.pickled import LARGEST_PICKLE, PickleError, read_pickle
from GDLACore.weights.torch_objects import Storage, StorageTable, find

NOT_OURS = "Choose a PVT-GDLA checkpoint: a .ckpt, .pth or .safetensors file."
NO_CODE = "Ask the author for a file with the weights alone."

_PICKLE = "data.pkl"
_CHUNK = 1024 * 1024


class TorchArchive:
    """An open archive, and what of it has not been compared with its checksum yet.

    ``content`` is the object the file was made of, with StoredTensors in the place of tensors;
    ``big_endian`` says whether the storages hold numbers with the high byte first.

    Raises ModelFileError, PickleError, and what zipfile raises for an archive that is none.
    """

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._path = path
        self._zip = zipfile.ZipFile(file)
        entries = self._zip.infolist()
        self._entries = {entry.filename: entry for entry in entries}
        self._unread = set(self._entries)
        self._folder = self._folder_of(entries)
        # Of two entries with one name some programs read the first and others the last; entries
        # that overlap could promise any amount of data.
        if len(entries) > len(self._entries) or _promised(entries) > path.stat().st_size:
            raise ModelFileError(
                f"{path} is damaged: its list of contents contradicts itself.", AGAIN
            )
        self.big_endian = self._is_big_endian()
        self.content = self._content()

    def read(self, storage: Storage) -> np.ndarray:
        """Return the bytes of ``storage``, uint8 [nbytes]."""
        name = f"{self._folder}data/{storage.key}"
        if name not in self._entries or self._entries[name].file_size != storage.nbytes:
            raise ModelFileError(
                f"{self._path} is damaged: {printable(name)} in it is missing or has another size.",
                AGAIN,
            )
        return self._read(name)

    def check_rest(self) -> None:
        """Compare the checksums of the entries that were not read."""
        for name in sorted(self._unread):
            self._read(name)

    def _folder_of(self, entries: list[zipfile.ZipInfo]) -> str:
        inner = {name: name.partition("/")[2] for name in self._entries}
        if "constants.pkl" in inner.values():
            raise ModelFileError(
                f"{self._path} is a TorchScript program, which would have to be run.", NO_CODE
            )
        pickles = [name for name, rest in inner.items() if rest == _PICKLE]
        # PyTorch never compresses; an archive of something else may unfold to any size.
        compressed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
        if len(pickles) != 1 or compressed:
            raise ModelFileError(
                f"{self._path} is a zip archive, but not a PyTorch checkpoint.", NOT_OURS
            )
        return pickles[0].removesuffix(_PICKLE)

    def _is_big_endian(self) -> bool:
        name = f"{self._folder}byteorder"
        if name not in self._entries:
            return False  # as written before PyTorch 2.1
        order = self._read(name).tobytes()
        if order not in (b"little", b"big"):
            raise ModelFileError(f"{self._path} is damaged: it has no order of bytes.", AGAIN)
        return order == b"big"

    def _content(self) -> Any:
        name = self._folder + _PICKLE
        if self._entries[name].file_size > LARGEST_PICKLE:
            raise PickleError("larger than any list of weights")
        return read_pickle(self._read(name).tobytes(), 0, find, StorageTable().resolve)[0]

    def _read(self, name: str) -> np.ndarray:
        """Return the bytes of an entry, whose size was found to be no more than the file's."""
        self._unread.discard(name)
        data = np.empty(self._entries[name].file_size, np.uint8)
        view, filled = memoryview(data), 0
        try:
            with self._zip.open(name) as stream:
                while count := stream.readinto(view[filled : filled + _CHUNK]):
                    filled += count
        except zipfile.BadZipFile as error:
            raise ModelFileError(
                f"{self._path} is damaged: {printable(name)} in it does not fit its checksum.",
                AGAIN,
            ) from error
        if filled < len(data):
            raise EOFError(name)
        return data


def _promised(entries: list[zipfile.ZipInfo]) -> int:
    """Return how many bytes the entries say they hold together."""
    return sum(max(entry.file_size, entry.compress_size) for entry in entries)
