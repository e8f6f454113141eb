"""Our model files' format, read without its library: the same numbers, and no lie believed."""

from __future__ import annotations

import hashlib
import json
import random
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refusals import refusal

from GDLACore.errors import ModelFileError
from GDLACore.weights.safetensors_file import read_safetensors


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def write(path: Path, header: Any, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def entry(kind: str, shape: Any, start: Any, end: Any) -> dict[str, Any]:
    return {"dtype": kind, "shape": shape, "data_offsets": [start, end]}


KINDS = {
    "F64": "f8",
    "F32": "f4",
    "F16": "f2",
    "C64": "c8",
    "I64": "i8",
    "I32": "i4",
    "I16": "i2",
    "I8": "i1",
    "U64": "u8",
    "U32": "u4",
    "U16": "u2",
    "U8": "u1",
    "BOOL": "?",
}


@pytest.mark.parametrize(("kind", "code"), KINDS.items())
def test_every_kind_of_number_comes_out_as_it_went_in(path: Path, kind: str, code: str) -> None:
    value = np.array([[0, 1, 2], [3, 100, 127]]).astype(code)
    write(path, {"w": entry(kind, [2, 3], 0, value.nbytes)}, value.tobytes())
    np.testing.assert_array_equal(read_safetensors(path)["w"], value, strict=True)


def test_bfloat16_becomes_single_precision(path: Path) -> None:
    value = np.array([1.0, -2.5, 3.140625], np.float32)
    stored = (value.view(np.uint32) >> 16).astype("<u2").tobytes()
    write(path, {"w": entry("BF16", [3], 0, 6)}, stored)
    np.testing.assert_array_equal(read_safetensors(path)["w"], value, strict=True)


def test_numbers_and_empty_arrays_and_odd_places_come_out(path: Path) -> None:
    header = {
        "__metadata__": {"anything": "at all"},
        "odd": entry("F32", [2], 1, 9),
        "first": entry("U8", [1], 0, 1),
        "number": entry("F32", [], 9, 13),
        "empty": entry("F32", [0, 3], 13, 13),
    }
    values = np.array([1.5, 2.5, 3.5], np.float32)
    found = read_safetensors(write(path, header, b"\x07" + values.tobytes()))
    assert found.keys() == {"odd", "first", "number", "empty"}
    np.testing.assert_array_equal(found["odd"], values[:2])
    assert found["number"] == 3.5 and found["number"].shape == ()
    assert found["empty"].shape == (0, 3)
    assert found["odd"].flags.aligned and found["odd"].flags.writeable


def test_the_hash_is_that_of_the_stored_bytes_by_name(path: Path) -> None:
    header = {"b": entry("BF16", [2], 0, 4), "a": entry("BOOL", [3], 4, 7)}
    write(path, header, b"bbbb\x01\x00\x01")
    checksum = hashlib.sha256(b"a\x01\x00\x01bbbbb").hexdigest()
    assert read_safetensors(path, checksum).keys() == {"a", "b"}
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    assert read_safetensors(path).keys() == {"a", "b"}
    message = refusal(path, lambda path: read_safetensors(path, checksum))
    assert "its weights are not those its card was written for" in message


LIES = {
    "kind not a text": {"w": entry(32, [2], 0, 8)},
    "kind a list": {"w": entry(["F32"], [2], 0, 8)},
    "no kind": {"w": {"shape": [2], "data_offsets": [0, 8]}},
    "no shape": {"w": {"dtype": "F32", "data_offsets": [0, 8]}},
    "no place": {"w": {"dtype": "F32", "shape": [2]}},
    "no entry": {"w": 7},
    "empty entry": {"w": {}},
    "shape a text": {"w": entry("F32", "two", 0, 8)},
    "shape of fractions": {"w": entry("F32", [2.0], 0, 8)},
    "shape of truth values": {"w": entry("F32", [True, 2], 0, 8)},
    "negative shape": {"w": entry("F32", [-1, -2], 0, 8)},
    "shape of another size": {"w": entry("F32", [3], 0, 8)},
    "shape beyond all numbers": {"w": entry("F32", [2**63, 2**63], 0, 8)},
    "shape that is empty but endless": {"w": entry("F32", [0, *[2**40] * 5], 0, 0)},
    "shape of many axes": {"w": entry("F32", [1] * 65 + [2], 0, 8)},
    "place beyond the end": {"w": entry("F32", [4], 0, 16)},
    "place far beyond the end": {"w": entry("F32", [2**40], 0, 2**42)},
    "place turned round": {"w": entry("F32", [2], 8, 0)},
    "place before the start": {"w": entry("F32", [2], -8, 0)},
    "place of three": {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4, 8]}},
    "place as texts": {"w": entry("F32", [2], "0", "8")},
    "gap at the start": {"w": entry("F32", [1], 4, 8)},
    "gap in between": {"a": entry("U8", [3], 0, 3), "b": entry("U8", [4], 4, 8)},
    "gap at the end": {"w": entry("F32", [1], 0, 4)},
    "overlap": {"a": entry("F32", [2], 0, 8), "b": entry("F32", [1], 4, 8)},
    "the same bytes twice": {"a": entry("F32", [2], 0, 8), "b": entry("F32", [2], 0, 8)},
    "nothing": {},
}


@pytest.mark.parametrize("header", LIES.values(), ids=LIES.keys())
def test_a_header_that_lies_is_refused_before_memory_is_reserved(path: Path, header: dict) -> None:
    write(path, header, bytes(8))
    tracemalloc.start()
    try:
        message = refusal(path, read_safetensors)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    assert "is damaged" in message or "is cut off" in message


@pytest.mark.parametrize("kind", ["F8_E4M3", "F99", "\x1b[31m" * 500])
def test_numbers_of_a_kind_that_is_not_read_are_named(path: Path, kind: str) -> None:
    write(path, {"w": entry(kind, [8], 0, 8)}, bytes(8))
    assert "holds 'w' in an unknown kind of number ('" in refusal(path, read_safetensors)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"no JSON", "is not valid JSON"),
        (b"[1, 2]", "is not a JSON object"),
        (b'{"w": {}, "w": {}}', 'the field "w" is given twice'),
        (b'{"w": NaN}', "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        (b'{"\xff": {}}', "is not valid JSON"),
    ],
)
def test_a_header_that_is_no_json_object_is_refused(
    path: Path, header: bytes, message: str
) -> None:
    assert message in refusal(write(path, header, bytes(8)), read_safetensors)


@pytest.mark.parametrize("content", [b"PK\x03\x04" + bytes(50), b"<html>" * 20, bytes(64)])
def test_another_kind_of_file_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert "is not a safetensors file" in refusal(path, read_safetensors)


def test_a_file_cut_off_anywhere_is_refused(path: Path) -> None:
    whole = write(path, {"w": entry("F32", [4], 0, 16)}, bytes(16)).read_bytes()
    for length in range(1, len(whole)):
        path.write_bytes(whole[:length])
        assert "is cut off" in refusal(path, read_safetensors)
    path.write_bytes(b"")
    assert "is empty" in refusal(path, read_safetensors)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "missing.safetensors", read_safetensors)
    assert "is a folder" in refusal(tmp_path, read_safetensors)


def test_a_file_changed_anywhere_gives_arrays_or_is_refused(path: Path) -> None:
    chance = random.Random(6)
    header = {"a": entry("F32", [2, 2], 0, 16), "b": entry("F16", [3], 16, 22)}
    whole = write(path, header, bytes(22)).read_bytes()
    tracemalloc.start()
    try:
        for _ in range(1500):
            data = bytearray(whole)
            for _ in range(chance.randrange(1, 4)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            path.write_bytes(data)
            try:
                read_safetensors(path)
            except ModelFileError as error:
                assert error.message.removeprefix(str(path)).isprintable() and error.hint
        # What is said to be the header may take up to 16 MiB, whatever the file's size.
        assert tracemalloc.get_traced_memory()[1] < 18 * 2**20
    finally:
        tracemalloc.stop()


def test_files_of_the_formats_own_library_are_read_alike(path: Path) -> None:
    torch = pytest.importorskip("torch")
    library = pytest.importorskip("safetensors.torch")
    kinds = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool complex64".split()
    written = {
        f"{kind} {shape}": torch.arange(6.0).reshape(shape).to(getattr(torch, kind))
        for kind in kinds
        for shape in ((6,), (2, 3))
    }
    library.save_file(written | {"number": torch.tensor(2.5)}, path, {"text": "any"})
    found = read_safetensors(path)
    expected = library.load_file(path)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        value = value.float() if value.dtype is torch.bfloat16 else value
        np.testing.assert_array_equal(found[name], value.numpy(), strict=True)
