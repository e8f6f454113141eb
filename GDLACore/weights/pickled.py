"""The part of the pickle language that PyTorch writes weights in, understood without running it.

A pickle is a program, and Python's own unpickler obeys it: it imports and calls what the program
names, lets it change what was made, reserves as much memory as a few bytes ask for, and hashes keys
that take for ever. Here a program can only build None, numbers, texts, lists, tuples and
dictionaries. A name in it stands for what the caller's table holds for it, or the reading ends;
nothing is ever imported. Time and memory are bounded by the program's length.
"""

from __future__ import annotations

import pickle  # only for the names of its instructions
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# A training of the largest network, with averaged weights and an optimiser, takes 0.6 MiB and
# 180,000 instructions.
LARGEST_PICKLE = 16 * 1024 * 1024
_MOST_INSTRUCTIONS = 1_000_000
# Of a call; PyTorch's longest has eight. More would be handed over again for every call with them.
MOST_ARGUMENTS = 10

# Keys of dictionaries are compared with each other. Millions of letters, remembered once, could be
# compared a hundred thousand times; integers above 2**60 share hashes, and so are as bad.
LONGEST_KEY = 1000
_LARGEST_KEY = 2**60


class PickleError(Exception):
    """The data are no pickle of this kind."""


class CutOff(PickleError):
    """The data end within the pickle."""


class ForbiddenName(PickleError):
    """The pickle names something that the caller's table does not hold."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Opaque:
    """Stands for something nobody needs: takes any content and keeps none of it."""

    __slots__ = ()


@dataclass(frozen=True)
class Name:
    """What a name in a pickle stands for; ``build`` makes a value of the arguments it is given."""

    name: str
    build: Callable[..., Any]


def read_pickle(
    data: bytes,
    start: int,
    find: Callable[[str], Name | None],
    resolve: Callable[[Any], Any],
) -> tuple[Any, int]:
    """Return the value of the pickle at ``start`` of ``data``, and where the next one begins.

    ``find`` returns what a dotted name stands for, None if it is forbidden; ``resolve`` returns
    the value of a reference to something outside the pickle. Keys of dictionaries other than texts
    of up to LONGEST_KEY letters and integers become Opaque.

    Raises PickleError, also on behalf of ``find``, ``resolve`` and ``build``; CutOff if the data
    end too early; ForbiddenName before anything else of such a pickle is used.
    """
    machine = _Machine(data, start, find, resolve)
    try:
        return machine.run(), machine.position
    # What a program that makes no sense does: no such stack entry, memo, length, text or type.
    except (LookupError, struct.error, ValueError, TypeError) as error:
        raise PickleError(str(error)) from error


class _Machine:
    """A stack, the marks on it, and what the program remembers by number."""

    def __init__(
        self,
        data: bytes,
        start: int,
        find: Callable[[str], Name | None],
        resolve: Callable[[Any], Any],
    ) -> None:
        self.position = start
        self._data = data
        self._find = find
        self._resolve = resolve
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        for _ in range(_MOST_INSTRUCTIONS):
            code = self._take(1)
            if code == pickle.STOP:
                return self._stack.pop()
            instruction = _INSTRUCTIONS.get(code)
            if instruction is None:
                raise PickleError(f"instruction {code!r}")
            instruction(self)
        raise PickleError("more instructions than any list of weights needs")

    def _take(self, length: int) -> bytes:
        end = self.position + length
        if end > len(self._data):
            raise CutOff(f"at byte {len(self._data)}")
        taken = self._data[self.position : end]
        self.position = end
        return taken

    def _number(self, layout: str) -> Any:
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]

    def _line(self) -> str:
        end = self._data.find(b"\n", self.position)
        if end < 0:
            raise CutOff("in a name")
        line = self._take(end - self.position)
        self.position += 1
        return line.decode()

    def _since_mark(self) -> list[Any]:
        mark = self._marks.pop()
        if mark > len(self._stack):
            raise PickleError("a mark above the stack")
        items = self._stack[mark:]
        del self._stack[mark:]
        return items

    def push_number(self, layout: str) -> None:
        self._stack.append(self._number(layout))

    def push_long(self) -> None:
        self._stack.append(int.from_bytes(self._take(self._number("<B")), "little", signed=True))

    def push_text(self, layout: str, encoding: str) -> None:
        self._stack.append(self._take(self._number(layout)).decode(encoding))

    def push_name(self) -> None:
        name = f"{self._line()}.{self._line()}"
        found = self._find(name)
        if found is None:
            raise ForbiddenName(name)
        self._stack.append(found)

    def push_constant(self, value: Any) -> None:
        self._stack.append(value)

    def mark(self) -> None:
        self._marks.append(len(self._stack))

    def tuple_since_mark(self) -> None:
        self._stack.append(tuple(self._since_mark()))

    def tuple_of(self, length: int) -> None:
        items = tuple(self._stack.pop() for _ in range(length))
        self._stack.append(items[::-1])

    def append(self) -> None:
        self._extend([self._stack.pop()])

    def append_since_mark(self) -> None:
        self._extend(self._since_mark())

    def set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._update([key, value])

    def set_items_since_mark(self) -> None:
        self._update(self._since_mark())

    def call(self) -> None:
        """Let a name of the caller's table make a value; nothing else can be called."""
        arguments, target = self._stack.pop(), self._stack.pop()
        if type(target) is not Name or type(arguments) is not tuple:
            raise PickleError("a call of something else than a name")
        if len(arguments) > MOST_ARGUMENTS:
            raise PickleError("a call with more arguments than any of PyTorch's")
        self._stack.append(target.build(*arguments))

    def drop_state(self) -> None:
        """Ignore what is to be set on an object: attributes of dictionaries hold no weights."""
        self._stack.pop()
        if not isinstance(self._stack[-1], (dict, Opaque)):
            raise PickleError("a state for something that has none")

    def refer(self) -> None:
        self._stack.append(self._resolve(self._stack.pop()))

    def remember(self, layout: str) -> None:
        self._memo[self._number(layout)] = self._stack[-1]

    def recall(self, layout: str) -> None:
        self._stack.append(self._memo[self._number(layout)])

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, Opaque):
            return
        if type(target) is not list:
            raise PickleError("items for something else than a list")
        target.extend(items)

    def _update(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, Opaque):
            return
        if type(target) is not dict or len(items) % 2:
            raise PickleError("entries for something else than a dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[key if _is_simple_key(key) else Opaque()] = value


def _is_simple_key(key: Any) -> bool:
    if type(key) is str:
        return len(key) <= LONGEST_KEY
    return type(key) is int and abs(key) < _LARGEST_KEY


# The instructions of protocol 2 that torch.save uses.
_INSTRUCTIONS: dict[bytes, Callable[[_Machine], None]] = {
    pickle.PROTO: lambda m: m._number("<B"),
    pickle.NONE: lambda m: m.push_constant(None),
    pickle.NEWTRUE: lambda m: m.push_constant(True),
    pickle.NEWFALSE: lambda m: m.push_constant(False),
    pickle.BININT: lambda m: m.push_number("<i"),
    pickle.BININT1: lambda m: m.push_number("<B"),
    pickle.BININT2: lambda m: m.push_number("<H"),
    pickle.LONG1: _Machine.push_long,
    pickle.BINFLOAT: lambda m: m.push_number(">d"),
    pickle.BINUNICODE: lambda m: m.push_text("<I", "utf-8"),
    pickle.SHORT_BINSTRING: lambda m: m.push_text("<B", "latin-1"),
    pickle.EMPTY_TUPLE: lambda m: m.push_constant(()),
    pickle.EMPTY_LIST: lambda m: m.push_constant([]),
    pickle.EMPTY_DICT: lambda m: m.push_constant({}),
    pickle.MARK: _Machine.mark,
    pickle.TUPLE: _Machine.tuple_since_mark,
    pickle.TUPLE1: lambda m: m.tuple_of(1),
    pickle.TUPLE2: lambda m: m.tuple_of(2),
    pickle.TUPLE3: lambda m: m.tuple_of(3),
    pickle.APPEND: _Machine.append,
    pickle.APPENDS: _Machine.append_since_mark,
    pickle.SETITEM: _Machine.set_item,
    pickle.SETITEMS: _Machine.set_items_since_mark,
    pickle.GLOBAL: _Machine.push_name,
    pickle.REDUCE: _Machine.call,
    pickle.NEWOBJ: _Machine.call,
    pickle.BUILD: _Machine.drop_state,
    pickle.BINPERSID: _Machine.refer,
    pickle.BINPUT: lambda m: m.remember("<B"),
    pickle.LONG_BINPUT: lambda m: m.remember("<I"),
    pickle.BINGET: lambda m: m.recall("<B"),
    pickle.LONG_BINGET: lambda m: m.recall("<I"),
}
