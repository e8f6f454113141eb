"""The texts of a DICOM dataset as Unicode, and which of them nobody can read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset
    from pydicom.tag import BaseTag

_ESCAPE = b"\x1b"
_SWITCH = re.compile(rb"\x1b[ -/]+[0-~]")  # to another character set (ISO 2022)
# What ends the use of another character set (PS3.5, 6.1.2.5.3).
_NAME_ENDS = frozenset(b"\\^=")
_TEXT_ENDS = frozenset(b"\\\r\n\t\f")


def decode_texts(dataset: Dataset) -> frozenset[str]:
    """Decode the texts of ``dataset``, which was just read, by their declared character sets.

    Returns the keywords at its root whose text, or one inside them, has bytes that are no letters
    of that set: what stands there now is a guess, and was not made of the same bytes.
    """
    found = [
        (tag, element, text)
        for tag in list(dataset.keys())
        for element, text in _foreign(dataset, tag, dataset.get("SpecificCharacterSet"))
    ]
    dataset.decode()
    for _, element, text in found:
        if text is not None:
            # pydicom splits before it decodes, where half a letter looks like a separator.
            element.value = text
    return frozenset(dataset[tag].keyword for tag, _, text in found if text is None)


def _foreign(
    dataset: Dataset, tag: BaseTag, character_set: object
) -> Iterator[tuple[DataElement, str | None]]:
    """Yield the texts in ``dataset[tag]`` that are more than ASCII; None for what is no text."""
    from pydicom.charset import convert_encodings
    from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR

    raw = dataset.get_item(tag).value
    element = dataset[tag]
    if element.VR == "SQ":
        for item in element.value:
            inner = item.get("SpecificCharacterSet", character_set)
            for key in list(item.keys()):
                yield from _foreign(item, key, inner)
    elif element.VR in CUSTOMIZABLE_CHARSET_VR and isinstance(raw, bytes):
        if not raw.isascii() or _ESCAPE in raw:
            ends = _NAME_ENDS if element.VR == "PN" else _TEXT_ENDS
            yield element, _decoded(raw.rstrip(b" \0"), convert_encodings(character_set), ends)


def _decoded(raw: bytes, encodings: list[str], ends: frozenset[int]) -> str | None:
    """Return what ``raw`` says, or None if that does not say ``raw``."""
    from pydicom.charset import decode_bytes, default_encoding, encode_string

    text = decode_bytes(raw, encodings, ends)
    # Without a declared set pydicom takes Latin-1, where DICOM has nothing but ASCII.
    strict = ["ascii" if name == default_encoding else name for name in encodings]
    try:
        # One by one: pydicom refuses half of JIS X 0201 beside the other.
        back = b"".join(encode_string(letter, strict) for letter in text)
    except (LookupError, UnicodeError):
        return None
    same = _SWITCH.sub(b"", back) == _SWITCH.sub(b"", raw)
    return text if same and "\x1b" not in text else None
