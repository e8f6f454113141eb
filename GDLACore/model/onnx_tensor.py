"""The tensors in an ONNX file: each must carry exactly the numbers that it declares, itself.

ONNX Runtime allocates what is declared and reads other files where a tensor says so, so both are
looked at before it sees the file.
"""

from __future__ import annotations

import math
import re
import struct
from pathlib import Path

from GDLACore.errors import ModelFileError
from GDLACore.model.file_access import AGAIN, printable
from GDLACore.model.protobuf import Message

EXPORT_AGAIN = "Export the model again with `gdla export`."

# onnx.proto: TensorProto. All numbers of ours are in the raw field, low byte first; besides, there
# may be notes (12, 16).
_DIMS, _TYPE, _NAME, _RAW, _EXTERNAL, _LOCATION = 1, 2, 8, 9, 13, 14
_FIELDS = {_DIMS, _TYPE, _NAME, _RAW, _LOCATION, 12, 16}

# onnx.proto: TensorProto.DataType. The bytes of one number.
FLOAT32, INT64, _FLOAT16 = 1, 7, 10
_SIZES = {FLOAT32: 4, INT64: 8, _FLOAT16: 2}

_MOST_NUMBERS = 1 << 31  # an ONNX file ends before 2 GiB
# Integers say how large the results of operators are, and could ask for any amount of memory. A
# tensor of ours holds up to five of them, up to 64.
_MOST_INTEGERS = 16
_LARGEST_INTEGER = 1 << 12


def check_tensor(tensor: Message, path: Path) -> str:
    """Return the name of ``tensor``; raise ModelFileError if its numbers are not all in it.

    Nor may it hold more or larger integers than a network of ours needs. ``path`` is the file, for
    messages. Raises WireError where the bytes are no tensor at all.
    """
    name = tensor.text(_NAME)
    label = f"the tensor {printable(name)}"
    if tensor.integer(_LOCATION) or tensor.count(_EXTERNAL):
        raise _in_another_file(tensor, label, path)
    kind = tensor.integer(_TYPE)
    if kind not in _SIZES or tensor.numbers() - _FIELDS:
        raise ModelFileError(
            f"{path} cannot be used: {label} is of a kind that no network of ours has ({kind}).",
            EXPORT_AGAIN,
        )
    sides = tensor.integers(_DIMS)
    shape = " x ".join(map(str, sides[:6])) + (" x ..." if len(sides) > 6 else "")
    if not _is_possible(sides):
        raise ModelFileError(
            f"{path} is damaged: it declares {label} with the impossible shape {shape}.", AGAIN
        )
    count, size, carried = math.prod(sides), _SIZES[kind], tensor.size(_RAW) or 0
    if carried != count * size:
        raise ModelFileError(
            f"{path} is damaged: {label}, of {shape or 'one'} numbers with {size} bytes each, "
            f"has {carried} bytes in the file.",
            AGAIN,
        )
    if kind == INT64 and (count > _MOST_INTEGERS or _largest(tensor) > _LARGEST_INTEGER):
        raise ModelFileError(
            f"{path} cannot be used: {label} has more or larger integers than any network of ours.",
            EXPORT_AGAIN,
        )
    return name


def are_integers(tensor: Message) -> bool:
    """Return whether a tensor that was checked holds integers."""
    return tensor.integer(_TYPE) == INT64


def is_vector(tensor: Message, numbers: tuple[float, ...]) -> bool:
    """Return whether a tensor that was checked is the float32 vector of these ``numbers``."""
    expected = struct.pack(f"<{len(numbers)}f", *numbers)
    return (
        tensor.integer(_TYPE) == FLOAT32
        and tensor.integers(_DIMS) == [len(numbers)]
        and tensor.content(_RAW) == expected
    )


def _is_possible(sides: list[int]) -> bool:
    """Return whether a file can hold a tensor of this shape; a long one is not worked out."""
    count = 1
    for side in sides:
        count *= side
        if side < 0 or count > _MOST_NUMBERS:
            return False
    return True


def _largest(tensor: Message) -> int:
    """Return the largest magnitude of the few integers in ``tensor``, 0 if there is none."""
    content = tensor.content(_RAW)
    return max((abs(number) for (number,) in struct.iter_unpack("<q", content)), default=0)


def _in_another_file(tensor: Message, label: str, path: Path) -> ModelFileError:
    """Return the error for a tensor whose numbers are elsewhere."""
    entries = {entry.text(1): entry.text(2) for entry in tensor.messages(_EXTERNAL)}
    location = entries.get("location", "")
    # A "*" begins the addresses with which ONNX Runtime marks tensors that are in memory.
    if re.search(r"^[/\\*]|:", location) or ".." in re.split(r"[/\\]", location):
        return ModelFileError(
            f"{path} asks for the file {printable(location)} outside its own folder, "
            "which no model needs; it was not opened.",
            "Do not use this model, or ask its author why it does so.",
        )
    return ModelFileError(
        f"{path} is not complete: {label} is in another file, {printable(location)}.",
        "Export the model again with `gdla export`, which writes everything into one file.",
    )
