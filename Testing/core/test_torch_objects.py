"""What the names in PyTorch's pickles make: never more than the pickle is long."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from GDLACore.weights import torch_objects
from GDLACore.weights.pickled import LONGEST_KEY, Opaque, PickleError, read_pickle
from GDLACore.weights.torch_objects import StorageTable, find

# One name for everything that names make.
NAMES = sorted({name.build: name.name for name in torch_objects._NAMES.values()}.values())

# What a program can remember and hand on as often as it likes, five bytes each time.
LONG_THINGS = {
    "text": b"X" + (2**15).to_bytes(4, "little") + b"x" * 2**15,
    "tuple": b"(" + b"N" * 2**14 + b"t",
    "list": b"](" + b"N" * 2**14 + b"e",
    "dictionary": b"}("
    + b"".join(b"M" + n.to_bytes(2, "little") + b"N" for n in range(999))
    + b"u",
}


def read(body: bytes) -> Any:
    """Return the value of a pickle without its start and its end."""
    return read_pickle(b"\x80\x02" + body + b".", 0, find, StorageTable().resolve)[0]


def named(name: str) -> bytes:
    module, _, attribute = name.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


@pytest.mark.parametrize("thing", LONG_THINGS.values(), ids=LONG_THINGS)
@pytest.mark.parametrize("name", NAMES)
def test_no_name_makes_much_of_a_long_thing_that_is_handed_to_it_again_and_again(
    name: str, thing: bytes
) -> None:
    program = b"](" + thing + b"q\0" + named(name) + b"q\1" + b"h\1h\0\x85R" * 100 + b"e"
    tracemalloc.start()
    try:
        read(program)
    except PickleError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 2**20


def size_of(argument: bytes) -> Any:
    return read(named("torch.Size") + argument + b"\x85R")


def test_a_shape_comes_out_as_it_is() -> None:
    assert read(named("torch.Size") + b")R") == size_of(b")") == ()
    assert size_of(b"K\2K\3\x86") == (2, 3)


@pytest.mark.parametrize(
    "argument",
    [
        b"N",
        b"K\3",
        b"X\2\0\0\x0023",
        b"]K\2a",
        b"}K\2Ns",
        b"K\2\x85\x85",
        b"\x88\x85",
        b"J\xff\xff\xff\xff\x85",
        b"(" + b"K\1" * 33 + b"t",
    ],
)
def test_a_shape_of_something_else_is_refused(argument: bytes) -> None:
    with pytest.raises(PickleError, match="shape"):
        size_of(argument)


def storage(key: str) -> bytes:
    text = b"X" + len(key).to_bytes(4, "little") + key.encode()
    kind = named("torch.FloatStorage")
    return b"(X\7\0\0\0storage" + kind + text + b"X\3\0\0\0cpuK\x0ctQ"


def test_long_keys_which_take_long_to_compare_are_no_keys() -> None:
    long = "k" * (LONGEST_KEY + 1)
    text = b"X" + len(long).to_bytes(4, "little") + long.encode()
    (key,) = read(b"}" + text + b"Ns")
    assert isinstance(key, Opaque)
    assert read(storage(long[1:])).key == long[1:]
    with pytest.raises(PickleError, match="without a key"):
        read(storage(long))
