"""Weights out of a PyTorch file, without PyTorch and without running what the file may contain."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from GDLACore.errors import ModelFileError
from GDLACore.model.file_access import AGAIN, opened, printable
from GDLACore.weights.pickled import CutOff, ForbiddenName, PickleError
from GDLACore.weights.torch_archive import NO_CODE, NOT_OURS, TorchArchive
from GDLACore.weights.torch_legacy import TorchLegacyFile
from GDLACore.weights.torch_objects import StoredTensor

_ZIP_MAGIC = b"PK\x03\x04"
_PICKLE_MAGIC = b"\x80"


def read_torch_file(path: Path) -> dict[str, np.ndarray]:
    """Return the named tensors of a PyTorch file, by the names in the file.

    A dictionary with ``model_state_dict`` or ``state_dict`` (a training checkpoint) yields that
    one; the prefix ``module.`` of training on several GPUs is removed from the names. Numbers keep
    their kind, but bfloat16 becomes float32. Tensors that share numbers in the file share memory,
    and one that lies across its storage is an array that lies across its memory.

    Raises ModelFileError if the file cannot be read, is cut off or changed, is no PyTorch file,
    contains anything but tensors, numbers, texts and containers (which is then never executed),
    or holds no named tensors. Memory is reserved for what the file really holds, never for what
    it says.
    """
    with opened(path) as file, _refusing(path):
        checkpoint = _open(file, path)
        weights = _weights(checkpoint.content, path)
        arrays = _arrays(checkpoint, weights)
        checkpoint.check_rest()
    return arrays


def _open(file: IO[bytes], path: Path) -> TorchArchive | TorchLegacyFile:
    start = file.read(len(_ZIP_MAGIC))
    if start == _ZIP_MAGIC:
        if not zipfile.is_zipfile(file):
            raise ModelFileError(f"{path} is cut off.", AGAIN)
        return TorchArchive(file, path)
    if start.startswith(_PICKLE_MAGIC):
        return TorchLegacyFile(file, path)
    raise ModelFileError(f"{path} is not a PyTorch checkpoint.", NOT_OURS)


def _weights(content: Any, path: Path) -> dict[str, StoredTensor]:
    """Return the descriptions of the named tensors in the object a file was made of."""
    for key in ("model_state_dict", "state_dict"):
        if isinstance(content, Mapping) and key in content:
            content = content[key]
            break
    if not isinstance(content, Mapping) or not content:
        raise ModelFileError(f"{path} holds no weights.", NOT_OURS)
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, StoredTensor):
            raise ModelFileError(
                f"{path} holds no list of weights: {printable(name)} is not a plain tensor.",
                NOT_OURS,
            )
    return {name.removeprefix("module."): value for name, value in content.items()}


def _arrays(
    checkpoint: TorchArchive | TorchLegacyFile, weights: dict[str, StoredTensor]
) -> dict[str, np.ndarray]:
    storages: dict[tuple[str, str], np.ndarray] = {}
    arrays = {}
    for name, tensor in weights.items():
        key = (tensor.storage.key, tensor.numbers.name)
        if key not in storages:
            stored = checkpoint.read(tensor.storage).view(tensor.numbers.stored)
            if checkpoint.big_endian:
                stored.byteswap(inplace=True)
            storages[key] = tensor.numbers.decode(stored)
        arrays[name] = tensor.view(storages[key])
    return arrays


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn all that can go wrong while ``path`` is read into ModelFileErrors."""
    try:
        yield
    except ModelFileError:
        raise
    except ForbiddenName as error:
        raise ModelFileError(
            f"{path} holds more than weights ({printable(error.name)}), "
            "which can carry program code; nothing of it was run.",
            NO_CODE,
        ) from error
    except CutOff as error:
        raise ModelFileError(f"{path} is cut off.", AGAIN) from error
    except PickleError as error:
        raise ModelFileError(
            f"{path} is damaged, or Python objects of another kind; nothing of it was run.",
            NOT_OURS,
        ) from error
    except MemoryError as error:
        raise ModelFileError(
            f"{path} does not fit into the memory.", "Close other programs and try again."
        ) from error
    # Bytes made up or changed can fail anywhere in the reader, and the file is always at fault.
    except Exception as error:
        raise ModelFileError(f"{path} is damaged and cannot be read.", AGAIN) from error
