"""Reading a PyTorch file without ever running what it may contain."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from GDLACore.errors import ModelFileError

_AGAIN = "Copy or download the file again."
_NOT_OURS = "Choose a PVT-GDLA checkpoint: a .ckpt, .pth or .safetensors file."
_NO_CODE = "Ask the author for a file with the weights alone."

_ZIP_MAGIC = b"PK\x03\x04"
_PICKLE_MAGIC = b"\x80"


class _Skipped:
    """Stands in for everything of numpy's in a file, accepts any content and keeps none of it.

    The authors' training stores its best Dice as a numpy number, which PyTorch refuses. Allowing
    numpy's own constructors would let a file choose a number type's internal flags and layout,
    that is, have bytes of its own taken for addresses. The number is not needed at all.
    """

    def __init__(self, *_arguments: object) -> None:
        pass

    def __setstate__(self, _state: object) -> None:
        pass


# By module and name, under which PyTorch looks a class of the file up; numpy 2 renamed its core.
_NUMPY = [
    type(name, (_Skipped,), {"__module__": module})
    for module, name in (
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "scalar"),
        ("numpy._core.multiarray", "_reconstruct"),
    )
]


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the named tensors of a PyTorch file, on the CPU.

    A dictionary with ``model_state_dict`` or ``state_dict`` (a training checkpoint) yields that
    one; the prefix ``module.`` of training on several GPUs is removed from the names.

    Raises ModelFileError if the file cannot be read, is cut off or changed, is no PyTorch file,
    contains anything but tensors, numbers, texts and containers (which is then never executed),
    or holds no named tensors.
    """
    check_readable(path)
    content = _load(path)
    for key in ("model_state_dict", "state_dict"):
        if isinstance(content, Mapping) and key in content:
            content = content[key]
            break
    if not isinstance(content, Mapping) or not content:
        raise ModelFileError(f"{path} holds no weights.", _NOT_OURS)
    for name, value in content.items():
        if not isinstance(name, str) or not _is_plain(value):
            raise ModelFileError(
                f"{path} holds no list of weights: {_printable(name)} is not a plain tensor.",
                _NOT_OURS,
            )
    return {name.removeprefix("module."): value for name, value in content.items()}


def check_readable(path: Path) -> None:
    """Raise ModelFileError if ``path`` is missing, empty, a folder or may not be read."""
    try:
        with path.open("rb") as file:
            start = file.read(1)
    except FileNotFoundError:
        raise ModelFileError(f"{path} does not exist.", "Check the path.") from None
    except (IsADirectoryError, PermissionError) as error:
        if path.is_dir():
            raise ModelFileError(
                f"{path} is a folder, not a model.", "Name the file in it."
            ) from None
        raise ModelFileError(f"{path} may not be read.", "Check its permissions.") from error
    except OSError as error:
        raise ModelFileError(
            f"{path} cannot be read: {error.strerror}.", "Check the path."
        ) from error
    if not start:
        raise ModelFileError(f"{path} is empty.", _AGAIN)


def _load(path: Path) -> Any:
    with path.open("rb") as file:
        start = file.read(len(_ZIP_MAGIC))
    if start == _ZIP_MAGIC:
        _check_zip(path)
    elif not start.startswith(_PICKLE_MAGIC):
        raise ModelFileError(f"{path} is not a PyTorch checkpoint.", _NOT_OURS)
    try:
        with torch.serialization.safe_globals(_NUMPY), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what PyTorch advises its developers to report
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refusal(path, str(error)) from error
    # Bytes made up or changed can fail anywhere in the reader, and the file is always at fault.
    except Exception as error:
        raise ModelFileError(f"{path} is damaged and cannot be read.", _AGAIN) from error


def _check_zip(path: Path) -> None:
    """Refuse a zip archive that is not PyTorch's or not what was once written.

    PyTorch does not compare the checksums: a weight changed on its way here would go unnoticed.
    """
    if not zipfile.is_zipfile(path):
        raise ModelFileError(f"{path} is cut off.", _AGAIN)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = {entry.filename.partition("/")[2] for entry in entries}
            if "constants.pkl" in names:
                raise ModelFileError(
                    f"{path} is a TorchScript program, which would have to be run.", _NO_CODE
                )
            # PyTorch never compresses; an archive of something else may unfold to any size.
            compressed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
            if "data.pkl" not in names or compressed:
                raise ModelFileError(
                    f"{path} is a zip archive, but not a PyTorch checkpoint.", _NOT_OURS
                )
            broken = archive.testzip()
    except ModelFileError:
        raise
    except Exception as error:  # as above; zipfile documents no complete list
        raise ModelFileError(f"{path} is damaged and cannot be read.", _AGAIN) from error
    if broken:
        raise ModelFileError(
            f"{path} is damaged: {_printable(broken)} in it does not fit its checksum.", _AGAIN
        )


def _refusal(path: Path, reason: str) -> ModelFileError:
    """Return the error for a file PyTorch refused, from what it says about ``reason``."""
    if unsafe := re.search(r"GLOBAL ([\w.]{0,80}\w)", reason):
        return ModelFileError(
            f"{path} holds more than weights ({unsafe[1]}), "
            "which can carry program code; nothing of it was run.",
            _NO_CODE,
        )
    return ModelFileError(
        f"{path} is damaged, or Python objects of another kind; nothing of it was run.",
        _AGAIN if "corrupted" in reason else _NOT_OURS,
    )


def _is_plain(value: object) -> bool:
    """Return whether ``value`` is a tensor whose numbers are all there, in memory."""
    return (
        isinstance(value, Tensor)
        and value.layout is torch.strided
        and not value.is_meta
        and not value.is_quantized
    )


def _printable(name: object) -> str:
    """Return a name out of a file in a form that suits one line of a message."""
    text = repr(name) if isinstance(name, (str, int)) else type(name).__name__
    return text if len(text) <= 80 else f"{text[:76]}...'"
