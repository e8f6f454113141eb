"""The tensors in an ONNX file: each must carry exactly the numbers that it declares, itself.

ONNX Runtime allocates what is declared and reads other files where a tensor says so, so both are
looked at before it sees the file.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from GDLACore.errors import ModelFileError
from GDLACore.model.protobuf import FIXED32, FIXED64, Message

COPY_AGAIN = "Copy or download the file again."
EXPORT_AGAIN = "Export the model again with `gdla export`."

# onnx.proto: TensorProto
_DIMS, _TYPE, _NAME, _RAW = 1, 2, 8, 9
_FLOATS, _INT32S, _INT64S, _DOUBLES, _UINT64S = 4, 5, 7, 10, 11
_TYPED = {_FLOATS, _INT32S, _INT64S, _DOUBLES, _UINT64S}
_SEGMENT, _TEXTS, _EXTERNAL, _LOCATION = 3, 6, 13, 14

# onnx.proto: TensorProto.DataType. The bytes of one number, and the field it is in if not raw.
FLOAT32 = 1
_KINDS = {
    FLOAT32: (4, _FLOATS),
    2: (1, _INT32S),  # uint8
    3: (1, _INT32S),  # int8
    4: (2, _INT32S),  # uint16
    5: (2, _INT32S),  # int16
    6: (4, _INT32S),
    7: (8, _INT64S),
    9: (1, _INT32S),  # bool
    10: (2, _INT32S),  # float16
    11: (8, _DOUBLES),
    12: (4, _UINT64S),  # uint32
    13: (8, _UINT64S),
    16: (2, _INT32S),  # bfloat16
}

_MOST_NUMBERS = 1 << 31  # an ONNX file ends before 2 GiB


def check_tensor(tensor: Message, path: Path, owner: str = "") -> str:
    """Return the name of ``tensor``; raise ModelFileError if its numbers are not all in it.

    ``path`` is the file and ``owner`` the node that the tensor stands in, if any, for messages.
    Raises WireError where the bytes are no tensor at all.
    """
    name = tensor.text(_NAME)
    label = (
        f"the tensor in the node {printable(owner)}" if owner else f"the tensor {printable(name)}"
    )
    if tensor.integer(_LOCATION) or tensor.count(_EXTERNAL):
        raise _in_another_file(tensor, label, path)
    kind = tensor.integer(_TYPE)
    if kind not in _KINDS or tensor.numbers() & {_SEGMENT, _TEXTS}:
        raise ModelFileError(
            f"{path} cannot be used: {label} is of a kind that no network of ours has ({kind}).",
            EXPORT_AGAIN,
        )
    sides = tensor.integers(_DIMS)
    shape = " x ".join(map(str, sides[:6])) + (" x ..." if len(sides) > 6 else "")
    if not _is_possible(sides):
        raise ModelFileError(
            f"{path} is damaged: it declares {label} with the impossible shape {shape}.", COPY_AGAIN
        )
    size, field = _KINDS[kind]
    carried = _carried(tensor, size, field)
    if carried != math.prod(sides) * size:
        raise ModelFileError(
            f"{path} is damaged: {label}, of {shape or 'one'} numbers with {size} bytes each, "
            f"has {carried} bytes in the file.",
            COPY_AGAIN,
        )
    return name


def printable(name: str) -> str:
    """Return a name out of a file in a form that suits one line of a message."""
    text = ascii(name[:80])  # the name may be as long as the file
    return text if len(text) <= 80 else f"{text[:76]}...'"


def _is_possible(sides: list[int]) -> bool:
    """Return whether a file can hold a tensor of this shape; a long one is not worked out."""
    count = 1
    for side in sides:
        count *= side
        if side < 0 or count > _MOST_NUMBERS:
            return False
    return True


def _carried(tensor: Message, size: int, field: int) -> int:
    """Return the bytes of the numbers in ``tensor``, 0 if in two forms or in that of another type.

    ``size`` is that of one number, ``field`` where they are if not raw.
    """
    raw, typed = tensor.size(_RAW), tensor.numbers() & _TYPED
    if raw is not None:
        return 0 if typed else raw
    if typed != {field}:
        return 0
    if field == _FLOATS:
        return tensor.fixed_size(_FLOATS, FIXED32)
    if field == _DOUBLES:
        return tensor.fixed_size(_DOUBLES, FIXED64)
    return size * len(tensor.integers(field))


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
