"""PyTorch files cut off, changed or made to lie: all refused, and none takes memory or time."""

from __future__ import annotations

import random
import re
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refusals import refusal
from torch_files import (
    Call,
    Global,
    Reference,
    archive,
    legacy_file,
    rewritten,
    storage,
    tensor,
    zip_file,
)

from GDLACore.errors import ModelFileError
from GDLACore.weights.torch_file import read_torch_file

WEIGHTS = {
    "conv.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "conv.bias": np.ones(3, np.float32),
}
CONTENT = {"model_state_dict": WEIGHTS, "epoch": 3, "best": np.float32(0.5), "lr": [1e-3, (1, 2)]}

MEGABYTE = 2**20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.ckpt"


@contextmanager
def little_memory(limit: int = 3 * MEGABYTE) -> Iterator[None]:
    """Fail if more than ``limit`` bytes are in use at any time; numpy's arrays count too."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < limit


def refused(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with little_memory(len(data) + 3 * MEGABYTE):
        return refusal(path, read_torch_file)


FLOATS = storage("0", 12)
TOO_MUCH = 2**40

LIES = {
    "offset behind the end": tensor(FLOATS, 12, (1,), (1,)),
    "negative offset": tensor(FLOATS, -1, (1,), (1,)),
    "shape beyond the end": tensor(FLOATS, 0, (13,), (1,)),
    "strides beyond the end": tensor(FLOATS, 0, (3, 4), (5, 1)),
    "negative stride": tensor(FLOATS, 11, (12,), (-1,)),
    "negative shape": tensor(FLOATS, 0, (-3, -4), (4, 1)),
    "one element without end": tensor(FLOATS, 0, (TOO_MUCH,), (0,)),
    "nothing, many times": tensor(FLOATS, 0, (0, *[TOO_MUCH] * 5), (1, *[1] * 5)),
    "shape beyond all numbers": tensor(FLOATS, 0, (2**63, 2**63), (1, 1)),
    "more axes than numpy has": tensor(FLOATS, 0, (1,) * 65, (1,) * 65),
    "fewer strides than axes": tensor(FLOATS, 0, (3, 4), (1,)),
    "shape of truth values": tensor(FLOATS, 0, (True,), (True,)),
    "shape of fractions": tensor(FLOATS, 0, (3.0,), (1.0,)),
    "shape as a list": tensor(FLOATS, 0, [3], [1]),
    "no storage": tensor(None, 0, (3,), (1,)),
    "a text as storage": tensor("0", 0, (3,), (1,)),
    "a storage that is not there": tensor(storage("7", 12), 0, (3,), (1,)),
    "a path as key": tensor(storage("../../data/0", 12), 0, (3,), (1,)),
    "a number as key": tensor(storage(0, 12), 0, (3,), (1,)),
    "a larger storage than is there": tensor(storage("0", 13), 0, (3,), (1,)),
    "an endless storage": tensor(storage("0", TOO_MUCH), 0, (3,), (1,)),
    "a negative storage": tensor(storage("0", -12), 0, (3,), (1,)),
    "a storage of another width": tensor(storage("0", 12, "torch.DoubleStorage"), 0, (3,), (1,)),
    "a storage of no kind": Reference(("storage", "torch.FloatStorage", "0", "cpu", 12)),
    "another thing outside": Reference(("module", Global("torch.FloatStorage"), "0", "cpu", 12)),
    "a text outside": Reference("0"),
    "nothing outside": Reference(()),
    "a parameter of nothing": Call("torch._utils._rebuild_parameter", (3, True, None)),
    "a call without arguments": Call("torch._utils._rebuild_tensor_v2"),
    "a dictionary with arguments": Call("collections.OrderedDict", ([("a", 1)],)),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
@pytest.mark.parametrize("make", [zip_file, legacy_file], ids=["zip", "before PyTorch 1.6"])
def test_a_tensor_that_lies_is_refused_before_memory_is_reserved(
    path: Path, lie: Any, make: Callable
) -> None:
    honest = np.arange(12, dtype=np.float32)  # takes the key "0"
    message = refused(path, make({"honest": honest, "lie": lie}))
    assert re.search("is damaged|plain tensor", message)


def test_tensors_that_differ_about_one_storage_are_refused(path: Path) -> None:
    shorter = tensor(storage("0", 6), 0, (6,), (1,))
    data = zip_file({"a": np.ones(12, np.float32), "b": shorter})
    assert "is damaged" in refused(path, data)


def test_numbers_still_to_be_negated_are_refused(path: Path) -> None:
    call = tensor(FLOATS, 0, (3,), (1,))
    negated = Call(call.name, (*call.arguments, {"neg": True}))
    data = zip_file({"w": negated}, storages={"0": bytes(48)})
    assert "'w' is not a plain tensor" in refused(path, data)


@pytest.mark.parametrize("make", [zip_file, legacy_file], ids=["zip", "before PyTorch 1.6"])
def test_a_file_cut_off_anywhere_is_refused(path: Path, make: Callable) -> None:
    whole = make(CONTENT)
    for length in range(1, len(whole)):
        path.write_bytes(whole[:length])
        # A name cut off inside may read as another name.
        message = refusal(path, read_torch_file)
        assert re.search("cut off|damaged|not a PyTorch|more than weights", message)


def test_one_changed_bit_in_a_weight_is_noticed(path: Path) -> None:
    data = bytearray(zip_file(CONTENT))
    data[data.index(np.float32(11).tobytes()) + 2] ^= 1
    assert "does not fit its checksum" in refused(path, bytes(data))


def test_one_changed_bit_beside_the_weights_is_noticed(path: Path) -> None:
    state = np.full(5, 7, np.int64)
    data = bytearray(zip_file({"model_state_dict": WEIGHTS, "optimizer": state}))
    data[data.index(state.tobytes())] ^= 1
    assert "does not fit its checksum" in refused(path, bytes(data))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_with_two_entries_of_one_name_is_refused(path: Path) -> None:
    path.write_bytes(zip_file(CONTENT))
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("model/data/0", b"\0" * 48)
    assert "its list of contents contradicts itself" in refusal(path, read_torch_file)


def test_an_archive_that_promises_more_than_its_file_holds_is_refused(path: Path) -> None:
    huge = 10**12
    content = {"w": tensor(storage("0", huge // 4), 0, (huge // 4,), (1,))}
    data = zip_file(content, storages={"0": bytes(48)})
    path.write_bytes(data)
    with zipfile.ZipFile(path) as file:
        entry = file.getinfo("model/data/0")
    # The size twice in the list of contents, as the zip format's longer form of it.
    at = data.rindex(b"model/data/0") - 46
    directory = bytearray(data[at : at + 46 + len("model/data/0")])
    directory[20:28] = b"\xff" * 8
    directory[30:32] = (20).to_bytes(2, "little")
    extra = (1).to_bytes(2, "little") + (16).to_bytes(2, "little") + huge.to_bytes(8, "little") * 2
    end = bytearray(data[at + len(directory) :])
    assert entry.filename == "model/data/0" and end.startswith(b"PK\x05\x06")
    end[12:16] = (int.from_bytes(end[12:16], "little") + len(extra)).to_bytes(4, "little")
    message = refused(path, data[:at] + bytes(directory) + extra + bytes(end))
    assert "its list of contents contradicts itself" in message


def test_an_encrypted_archive_is_refused(path: Path) -> None:
    data = bytearray(zip_file(CONTENT))
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    assert "is damaged" in refused(path, bytes(data))


def test_an_unknown_order_of_bytes_is_refused(path: Path) -> None:
    data = rewritten(
        zip_file(CONTENT), lambda name, entry: b"middle" if "byteorder" in name else entry
    )
    assert "has no order of bytes" in refused(path, data)


def test_a_missing_storage_is_refused(path: Path) -> None:
    with zipfile.ZipFile(_written(path, zip_file(CONTENT))) as file:
        entries = {n: file.read(n) for n in file.namelist() if n != "model/data/1"}
    message = refused(path, archive(entries))
    assert "'model/data/1' in it is missing or has another size" in message


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ((0x1950A86A20F9469CFC6D, 1001, {}), "another kind"),
        ((0x1950A86A20F9469CFC6C, 1002, {}), "another kind"),
        ((0x1950A86A20F9469CFC6C, 1001), "is damaged|is cut off"),
    ],
)
def test_an_old_file_that_starts_otherwise_is_refused(
    path: Path, start: tuple, message: str
) -> None:
    assert re.search(message, refused(path, legacy_file(CONTENT, start=start)))


def test_an_old_file_whose_storages_have_another_length_is_refused(path: Path) -> None:
    data = legacy_file({"w": np.ones(3, np.float32)})
    for count in (2, 4, TOO_MUCH, 2**63):
        changed = data[:-20] + count.to_bytes(8, "little") + data[-12:]
        assert "is damaged" in refused(path, changed)


# Changes to a file, as accidents and attackers make them.
CHANGES: list[Callable[[random.Random, bytearray, int], None]] = [
    lambda chance, data, at: data.__setitem__(at, data[at] ^ (1 << chance.randrange(8))),
    lambda chance, data, at: data.__setitem__(at, chance.choice((0, 1, 127, 128, 255))),
    lambda chance, data, at: data.__delitem__(slice(at, None)),
    lambda chance, data, at: data.__delitem__(slice(at, at + chance.randrange(1, 9))),
    lambda chance, data, at: data.__setitem__(slice(at, at), chance.randbytes(4)),
    lambda chance, data, at: data.__setitem__(slice(at, at + 4), b"\xff\xff\xff\x7f"),
    lambda chance, data, at: data.__setitem__(slice(at, at + 8), b"\xff" * 8),
    lambda chance, data, at: data.__setitem__(slice(at, at + 9), data[at // 2 : at // 2 + 9]),
]


def changed(chance: random.Random, data: bytes) -> bytes:
    result = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        if result:
            chance.choice(CHANGES)(chance, result, chance.randrange(len(result)))
    return bytes(result)


def read_or_refused(path: Path, data: bytes) -> dict[str, np.ndarray] | None:
    path.write_bytes(data)
    try:
        return read_torch_file(path)
    except ModelFileError as error:
        assert error.message.removeprefix(str(path)).isprintable() and error.hint
        return None


def test_an_archive_changed_anywhere_is_refused_or_gives_the_same_weights(path: Path) -> None:
    chance, whole = random.Random(3), zip_file(CONTENT)
    with little_memory():
        for _ in range(1500):
            weights = read_or_refused(path, changed(chance, whole))
            if weights is not None:
                assert weights.keys() == WEIGHTS.keys()
                assert all(np.array_equal(weights[n], WEIGHTS[n]) for n in WEIGHTS)


def test_an_archive_with_any_other_pickle_gives_arrays_or_is_refused(path: Path) -> None:
    chance, whole = random.Random(4), zip_file(CONTENT)

    def change(name: str, entry: bytes) -> bytes:
        return changed(chance, entry) if name.endswith("data.pkl") else entry

    with little_memory():
        for _ in range(700):
            read_or_refused(path, rewritten(whole, change))


def test_an_old_file_changed_anywhere_gives_arrays_or_is_refused(path: Path) -> None:
    chance, whole = random.Random(5), legacy_file(CONTENT)
    with little_memory():
        for _ in range(1500):
            read_or_refused(path, changed(chance, whole))
