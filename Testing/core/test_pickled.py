"""The restricted reader of pickles: it builds plain values, and programs get nowhere with it."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from GDLACore.weights.pickled import (
    MOST_ARGUMENTS,
    CutOff,
    ForbiddenName,
    Name,
    Opaque,
    PickleError,
    read_pickle,
)

NAMES = {"some.pair": Name("some.pair", lambda a, b: [a, b]), "some.box": Name("box", Opaque)}


def read(body: bytes) -> Any:
    """Return the value of a pickle without its start and its end."""
    return read_pickle(b"\x80\x02" + body + b".", 0, NAMES.get, lambda key: ("outside", key))[0]


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -3,
        255,
        65535,
        -(2**31),
        2**600,
        0.1,
        float("inf"),
        "text",
        "Größe \U0001f600",
        (),
        (1,),
        (1, 2),
        (1, 2, 3),
        (1, 2, 3, 4),
        [],
        [[1], [2, [3]]],
        {},
        {"a": {"b": [1, (2, None)]}, 7: "seven"},
        list(range(3000)),
        {str(n): n for n in range(3000)},
    ],
)
def test_plain_values_come_out_as_python_wrote_them(value: Any) -> None:
    assert read(pickle.dumps(value, 2)[2:-1]) == value


def test_the_same_object_twice_stays_one() -> None:
    shared = ["once"]
    first, second = read(pickle.dumps([shared, shared], 2)[2:-1])
    assert first is second


def test_one_pickle_after_the_other_is_read_from_where_the_last_one_ended() -> None:
    data = pickle.dumps("first", 2) + pickle.dumps("second", 2)
    first, position = read_pickle(data, 0, NAMES.get, lambda key: key)
    second, end = read_pickle(data, position, NAMES.get, lambda key: key)
    assert (first, second, end) == ("first", "second", len(data))


def test_names_of_the_table_are_called_and_references_resolved() -> None:
    assert read(b"csome\npair\nK\x01K\x02\x86R") == [1, 2]
    assert read(b"K\x05Q") == ("outside", 5)


def test_a_name_outside_the_table_ends_the_reading() -> None:
    with pytest.raises(ForbiddenName, match=r"^os\.system$"):
        read(b"cos\nsystem\nX\x04\0\0\0true\x85R")


@pytest.mark.parametrize(
    "body",
    [
        b"(S'true'\nios\nsystem\n",  # INST
        b"(cos\nsystem\nS'true'\no",  # OBJ
        b"\x82\x01",  # EXT1, a name by number
        b"\x8c\x02os\x8c\x06system\x93",  # STACK_GLOBAL
        b"csome\nbox\n)}\x92",  # NEWOBJ_EX
        b"I1\n",
        b"L1L\n",
        b"F1.0\n",
        b"S'text'\n",
        b"Vtext\n",
        b"\x8b\xff\xff\xff\x7f",  # LONG4
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",  # BINBYTES8
        b"\x96\xff\xff\xff\xff\xff\xff\xff\x7f",  # BYTEARRAY8
        b"\x95\xff\xff\xff\xff\xff\xff\xff\x7f",  # FRAME
        b"P0\n",
        b"K\x010",  # POP
        b"K\x012",  # DUP
    ],
)
def test_other_instructions_are_refused(body: bytes) -> None:
    with pytest.raises(PickleError):
        read(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"t",
        b"K\x01a",
        b"K\x01K\x02a",
        b"}K\x01s",
        b"}(K\x01u",
        b"](K\x01u",
        b"\x85",
        b"K\x01\x86",
        b"h\x07",
        b"j\xff\xff\xff\xff",
        b"q\x00",
        b"K\x01(q\x00ttt",
        b"K\x01)R",
        b"X\x02\0\0\0os)R",
        b"]K\x01R",
        b"csome\npair\nK\x01R",
        b"csome\npair\n)R",
        b"csome\npair\nK\x01K\x02K\x03\x87R",
        b"]}b",
        b"K\x01}b",
        b"csome\npair\n}X\x05\0\0\0builds\x85b",
        b"X\x02\0\0\0\xff\xff",
    ],
)
def test_programs_that_make_no_sense_are_refused(body: bytes) -> None:
    with pytest.raises(PickleError):
        read(body)


@pytest.mark.parametrize("body", [b"X\xff\xff\xff\xffabc", b"U\xffabc", b"cno line", b"G1234"])
def test_data_that_end_too_early_are_cut_off(body: bytes) -> None:
    with pytest.raises(CutOff):
        read(body)


def test_states_are_dropped_and_change_nothing() -> None:
    state = b"}X\x09\0\0\0_metadataK\x01s"
    assert read(b"}" + state + b"b") == {}
    assert isinstance(read(b"csome\nbox\n)R" + state + b"b"), Opaque)
    for attribute in (b"__class__", b"build"):  # of what stands for a name
        change = b"}U" + bytes([len(attribute)]) + attribute + b"K\x01sb"
        with pytest.raises(PickleError):
            read(b"csome\nbox\n" + change)


def test_what_is_not_needed_takes_any_content_and_keeps_none() -> None:
    box = read(b"csome\nbox\n)R(K\x01K\x02eK\x01K\x02s(K\x01K\x02u}b")
    assert isinstance(box, Opaque) and not hasattr(box, "__dict__")


def test_a_memory_slot_with_a_huge_number_costs_nothing() -> None:
    assert read(b"K\x07r\xff\xff\xff\xffj\xff\xff\xff\xff\x86") == (7, 7)


def test_values_nested_a_hundred_thousand_deep_come_out_and_go_away() -> None:
    for opening, closing in ((b"]", b"a"), (b"(", b"t"), (b"}K\x01", b"s")):
        value = read(opening * 100_000 + b"N" + closing * 100_000)
        del value


def test_a_key_whose_hash_would_take_for_ever_is_not_hashed() -> None:
    doubled = b")" + b"q\x00h\x00\x86" * 200  # a tuple of 2 to the power of 200 leaves
    (key,) = read(b"}" + doubled + b"K\x01s")
    assert isinstance(key, Opaque)


def test_keys_made_to_share_one_hash_do_not_pile_up() -> None:
    numbers = (n * (2**61 - 1) for n in range(1, 30_000))
    longs = b"".join(b"\x8a\x0a" + n.to_bytes(10, "little") + b"N" for n in numbers)
    found = read(b"}(" + longs + b"u")
    assert all(isinstance(key, Opaque) for key in found)


def test_a_program_without_end_is_given_up() -> None:
    with pytest.raises(PickleError, match="more instructions"):
        read(b"N" * 1_000_001)


def test_calls_cost_no_more_than_their_instructions_however_long_what_they_are_given() -> None:
    handed_over = []
    names = {"a.b": Name("a.b", lambda *arguments: handed_over.append(len(arguments)))}

    def run(arguments: int, calls: int, code: bytes) -> Any:
        body = b"ca\nb\nq\0(" + b"N" * arguments + b"tq\1" + (b"h\0h\1" + code) * calls
        return read_pickle(body + b".", 0, names.get, lambda key: key)

    for code in (b"R", b"\x81"):
        run(MOST_ARGUMENTS, 500, code)
        assert handed_over == [MOST_ARGUMENTS] * 500
        handed_over.clear()
        with pytest.raises(PickleError, match="more arguments"):
            run(MOST_ARGUMENTS + 1, 1, code)
        with pytest.raises(PickleError, match="more arguments"):
            run(400_000, 500, code)
        assert not handed_over


@pytest.mark.parametrize("code", [*b"KMJGqrhjXUc\x8a\x80"])
def test_an_instruction_without_its_argument_is_cut_off(code: int) -> None:
    with pytest.raises(CutOff):
        read_pickle(b"\x80\x02K\x01" + bytes([code]), 0, NAMES.get, lambda key: key)
