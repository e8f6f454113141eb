"""Texts are what the bytes of an image say in the characters that it declares, or nothing."""

from __future__ import annotations

from io import BytesIO

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from GDLACore.imaging.dicom_silence import quiet
from GDLACore.imaging.dicom_text import decode_texts

JAPANESE = ["", "ISO 2022 IR 87"]


def _read(
    text: bytes,
    character_set: str | list[str] | None,
    *,
    keyword: str = "PatientName",
    inside: bool = False,
    syntax: str = ExplicitVRLittleEndian,
) -> Dataset:
    """Return a dataset as it is read from a file in which ``text`` stands byte by byte."""
    text += b" " * (len(text) % 2)
    holder = Dataset()
    setattr(holder, keyword, "x" * len(text))
    whole = holder
    if inside:
        whole = Dataset()
        whole.ReferencedStudySequence = Sequence([holder])
    if character_set is not None:
        whole.SpecificCharacterSet = character_set
    file = BytesIO()
    pydicom.dcmwrite(file, whole, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    data = file.getvalue().replace(b"x" * len(text), text)
    return pydicom.dcmread(BytesIO(data), force=True)


def _decoded(text: bytes, character_set: str | list[str] | None, **where: object) -> str | None:
    """Return the text, or None if it is told that it cannot be read."""
    dataset = _read(text, character_set, **where)
    with quiet():
        lost = decode_texts(dataset)
    assert lost <= {"PatientName"}
    return None if lost else str(dataset.PatientName)


@pytest.mark.parametrize(
    "character_set, encoding, name",
    [
        (None, "ascii", "Miller^J"),
        ("ISO_IR 100", "latin-1", "Müller^Jörg"),
        ("ISO IR 100", "latin-1", "Müller^Jörg"),  # a slip of the pen
        ("ISO_IR 126", "iso8859-7", "Διονυσιος"),
        ("ISO_IR 192", "utf-8", "Łukasz^Żółć"),
        ("ISO_IR 13", "shift_jis", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        ("GB18030", "gb18030", "Wang^XiaoDong=王^小东"),
        ("GBK", "gbk", "Wang=王^誠"),  # half a letter is a backslash
        # Half a letter is an equals sign, a backslash, a caret.
        (JAPANESE, "iso2022_jp", "Akiyama=秋山^太郎"),
        (JAPANESE, "iso2022_jp", "Yamamoto=山本^五"),
    ],
)
def test_names_are_read_in_the_declared_characters(character_set, encoding, name):
    assert _decoded(name.encode(encoding), character_set) == name


def test_names_may_switch_between_characters():
    korean = b"Hong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7"
    assert _decoded(korean, ["", "ISO 2022 IR 149"]) == "Hong=洪^吉洞"
    greek = b"Buc^\x1b-F\xc4\xe9\xef"
    assert _decoded(greek, ["ISO 2022 IR 100", "ISO 2022 IR 126"]) == "Buc^Διο"


@pytest.mark.parametrize(
    "character_set, text",
    [
        (None, "Müller".encode()),
        ("", "Müller".encode("latin-1")),
        ("ISO_IR 6", "Διονυσιος".encode("iso8859-7")),
        ("ISO_IR 192", "Müller".encode("latin-1")),
        ("ISO_IR 13", "山田^太郎".encode("shift_jis")),
        ("no such set", "Müller".encode("latin-1")),
        (JAPANESE, "Müller".encode("latin-1")),
        ("ISO_IR 100", "山田".encode("iso2022_jp")),
        (["ISO 2022 IR 100", "ISO 2022 IR 87"], b"Buc^\x1b-F\xc4\xe9\xef"),
    ],
)
def test_bytes_that_are_no_declared_characters_are_told(character_set, text):
    assert _decoded(text, character_set) is None


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_text_inside_a_sequence_is_told_with_the_sequence(syntax):
    dataset = _read("Müller".encode(), None, inside=True, syntax=syntax)
    assert decode_texts(dataset) == {"ReferencedStudySequence"}
    readable = _read("Müller".encode(), "ISO_IR 192", inside=True, syntax=syntax)
    assert decode_texts(readable) == set()
    assert readable.ReferencedStudySequence[0].PatientName == "Müller"


def test_a_text_of_several_values_keeps_them():
    dataset = _read("Süd\\Öst".encode(), "ISO_IR 192", keyword="OtherPatientIDs")
    assert decode_texts(dataset) == set()
    assert list(dataset.OtherPatientIDs) == ["Süd", "Öst"]
