"""A model card on its own, or inside a ``.safetensors`` file, read without loading the weights.

Such a file begins with the length of its header (8 bytes, little-endian) and the header, a JSON
object; the text under ``__metadata__.gdla_card`` is the card.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from GDLACore.errors import ModelFileError
from GDLACore.model.card import ModelCard
from GDLACore.model.fields import parse_json

CARD_KEY = "gdla_card"

_LENGTH_BYTES = 8
# The largest network's header takes under 1 MiB; a damaged length must not fill the memory.
_LARGEST_HEADER = 16 * 1024 * 1024

_NOT_OURS = "Choose a .safetensors file written by `gdla train`."
_INCOMPLETE = "Copy or download the file again."


def read_card(path: Path) -> ModelCard:
    """Return the card in the ``.safetensors`` file at ``path``; only its header is read.

    Raises ModelFileError if the file cannot be read, is not such a file, is cut off inside its
    header, or carries no card or an invalid one.
    """
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
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ModelFileError(
            f"{path} cannot be read: {error.strerror}.", "Check the path and its permissions."
        ) from error
    return ModelCard.from_json(text, str(path))


def _header(path: Path) -> bytes:
    """Return the bytes of the header, whose length is checked before anything is allocated."""
    try:
        with path.open("rb") as file:
            prefix = file.read(_LENGTH_BYTES)
            length = int.from_bytes(prefix, "little")
            if len(prefix) < _LENGTH_BYTES:
                raise ModelFileError(f"{path} is cut off after {len(prefix)} bytes.", _INCOMPLETE)
            if not 2 <= length <= _LARGEST_HEADER:
                raise ModelFileError(f"{path} is not a safetensors file.", _NOT_OURS)
            header = file.read(length)
    except FileNotFoundError:
        raise ModelFileError(f"{path} does not exist.", "Check the path.") from None
    except OSError as error:
        raise ModelFileError(
            f"{path} cannot be read: {error.strerror}.", "Check the path and its permissions."
        ) from error
    if len(header) < length:
        raise ModelFileError(f"{path} is cut off inside its header.", _INCOMPLETE)
    return header
