"""A model card on its own, or inside a model file, read without loading the weights.

A ``.safetensors`` file begins with the length of its header (8 bytes, little-endian) and the
header, a JSON object; the text under ``__metadata__.gdla_card`` is the card. In an ``.onnx`` file
the card is in the metadata, under the same key.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from GDLACore.errors import ModelFileError
from GDLACore.model.card import ModelCard
from GDLACore.model.fields import parse_json
from GDLACore.model.file_access import AGAIN, opened
from GDLACore.model.onnx_file import CARD_KEY, FIRST_BYTE, read_onnx_card

__all__ = ["CARD_KEY", "read_card", "read_card_file", "read_header"]

_LENGTH_BYTES = 8
# The largest network's header takes under 1 MiB; a damaged length must not fill the memory.
_LARGEST_HEADER = 16 * 1024 * 1024

_NOT_OURS = "Choose a .safetensors file written by `gdla train`."


def read_card(path: Path) -> ModelCard:
    """Return the card in the ``.onnx`` or ``.safetensors`` file at ``path``.

    A file with another suffix may be either; its first bytes tell.

    Raises ModelFileError if the file cannot be read, is not such a file, is cut off before its
    card, or carries no card or an invalid one.
    """
    if _is_onnx(path):
        return read_onnx_card(path)
    header, _ = read_header(path)
    metadata = header.get("__metadata__")
    card = metadata.get(CARD_KEY) if isinstance(metadata, dict) else None
    if not isinstance(card, str):
        raise ModelFileError(f"{path} holds weights but no model card.", _NOT_OURS)
    return ModelCard.from_json(card, f"The card in {path}")


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Return the header of the ``.safetensors`` file at ``path`` and the byte its tensors start at.

    Raises ModelFileError if the file cannot be read, is not such a file or is cut off in there.
    """
    text = _header(path)
    header = parse_json(text, f"The header of {path}")
    if not isinstance(header, dict):
        raise ModelFileError(f"The header of {path} is not a JSON object.", _NOT_OURS)
    return header, _LENGTH_BYTES + len(text)


def read_card_file(path: Path) -> ModelCard:
    """Return the card in the JSON file at ``path``; raise ModelFileError if it holds none."""
    with opened(path) as file:
        text = file.read()
    return ModelCard.from_json(text, str(path))


def _is_onnx(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix in (".onnx", ".safetensors"):
        return suffix == ".onnx"
    with opened(path) as file:
        start = file.read(_LENGTH_BYTES + 1)
    # A safetensors header may happen to have a length that begins like ONNX, but opens a brace.
    return start[:1] == FIRST_BYTE and start[_LENGTH_BYTES:] != b"{"


def _header(path: Path) -> bytes:
    """Return the bytes of the header, whose length is checked before anything is allocated."""
    with opened(path) as file:
        prefix = file.read(_LENGTH_BYTES)
        length = int.from_bytes(prefix, "little")
        if len(prefix) < _LENGTH_BYTES:
            raise ModelFileError(f"{path} is cut off after {len(prefix)} bytes.", AGAIN)
        if not 2 <= length <= _LARGEST_HEADER:
            raise ModelFileError(f"{path} is not a safetensors file.", _NOT_OURS)
        header = file.read(length)
    if len(header) < length:
        raise ModelFileError(f"{path} is cut off inside its header.", AGAIN)
    return header
