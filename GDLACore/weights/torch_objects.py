"""What the names in PyTorch's pickles stand for, as plain descriptions without any numbers in them.

A tensor in a file is a view of a *storage*, a numbered row of bytes elsewhere in the file. All that
a file claims of a view is checked here, before anything is read or reserved for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from GDLACore.weights.numbers import NUMBER_TYPES, NumberType, is_shape, is_size
from GDLACore.weights.pickled import LONGEST_KEY, Name, Opaque, PickleError


@dataclass(frozen=True)
class Storage:
    """A row of ``count`` numbers in the file; of bytes where every tensor says what they mean."""

    key: str
    count: int
    numbers: NumberType | None

    @property
    def nbytes(self) -> int:
        return self.count * (self.numbers.stored.itemsize if self.numbers else 1)


@dataclass(frozen=True)
class StoredTensor:
    """A view of a storage. Offset, shape and strides count elements and lie inside it."""

    storage: Storage
    numbers: NumberType
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def view(self, numbers: np.ndarray) -> np.ndarray:
        """Return the tensor's part of all ``numbers`` of its storage [n], without a copy."""
        if 0 in self.shape:
            return np.empty(self.shape, numbers.dtype)
        strides = tuple(step * numbers.itemsize for step in self.strides)
        return as_strided(numbers[self.offset :], self.shape, strides)


@dataclass
class StorageTable:
    """The storages a pickle refers to, by key."""

    storages: dict[str, Storage] = field(default_factory=dict)

    def resolve(self, reference: Any) -> Storage | Opaque:
        """Return the storage ``("storage", type, key, device, count)``; an old file adds None.

        Raises PickleError for any other reference and for one that contradicts an earlier one.
        """
        if type(reference) is not tuple or len(reference) not in (5, 6):
            raise PickleError("a reference to something else than a storage")
        kind, type_, key, _device, count = reference[:5]
        if kind != "storage" or type(type_) is not Name or reference[5:] not in ((), (None,)):
            raise PickleError("a reference to something else than a storage")
        if type(key) is not str or len(key) > LONGEST_KEY or not is_size(count):
            raise PickleError("a storage without a key or size")
        if type_.name == "torch.storage.UntypedStorage":
            storage = Storage(key, count, None)
        elif type_.name in _STORAGES:
            storage = Storage(key, count, _STORAGES[type_.name])
        else:
            return Opaque()
        if self.storages.setdefault(key, storage).nbytes != storage.nbytes:
            raise PickleError("a storage of two sizes")
        return storage


def find(name: str) -> Name | None:
    """Return what a name in a file of weights stands for, None for one that has no place there."""
    return _NAMES.get(name)


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *rest: Any) -> Any:
    """Follow torch._utils._rebuild_tensor and _v2: (…, requires_grad, hooks, metadata)."""
    if isinstance(storage, Storage) and storage.numbers is not None:
        return _tensor(storage, storage.numbers, offset, shape, strides, rest[2:])
    return _not_a_tensor(storage)


def _rebuild_tensor_v3(
    storage: Any,
    offset: Any,
    shape: Any,
    strides: Any,
    _grad: Any,
    _hooks: Any,
    type_: Any,
    *rest: Any,
) -> Any:
    """Follow torch._utils._rebuild_tensor_v3, which names the kind of number for itself."""
    numbers = NUMBER_TYPES.get(type_.name.removeprefix("torch.")) if type(type_) is Name else None
    if isinstance(storage, Storage) and numbers is not None:
        return _tensor(storage, numbers, offset, shape, strides, rest)
    return _not_a_tensor(storage)


def _tensor(
    storage: Storage, numbers: NumberType, offset: Any, shape: Any, strides: Any, metadata: Any
) -> StoredTensor | Opaque:
    count = storage.nbytes // numbers.stored.itemsize
    _check_view(count, offset, shape, strides)
    if math.prod(shape) > count:
        return Opaque()  # repeats its numbers; a few bytes would stand for any amount of memory
    if any(metadata):
        return Opaque()  # numbers still to be negated or conjugated
    return StoredTensor(storage, numbers, offset, shape, strides)


def _not_a_tensor(storage: Any) -> Opaque:
    if not isinstance(storage, (Storage, Opaque)):
        raise PickleError("a tensor without a storage")
    return Opaque()


def _check_view(count: int, offset: Any, shape: Any, strides: Any) -> None:
    """Raise PickleError if a view reaches outside its storage of ``count`` elements."""
    if type(shape) is not tuple or type(strides) is not tuple or len(shape) != len(strides):
        raise PickleError("a tensor without a shape")
    if not is_shape(shape) or not all(map(is_size, (offset, *strides))):
        raise PickleError("a tensor with an impossible shape")
    if 0 in shape:
        return
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if last >= count:
        raise PickleError("a tensor that reaches outside its storage")


def _parameter(data: Any, *_rest: Any) -> Any:
    if not isinstance(data, (StoredTensor, Opaque)):
        raise PickleError("a parameter without a tensor")
    return data


def _dictionary() -> dict[str, Any]:
    return {}


def _size(lengths: Any = ()) -> tuple[int, ...]:
    # As it is: a copy of something long would take many times what a few bytes take to ask for it.
    if type(lengths) is not tuple or not is_shape(lengths):
        raise PickleError("a shape that is none")
    return lengths


def _opaque(*_arguments: Any) -> Opaque:
    return Opaque()


_STORAGES = {
    f"torch.{name}Storage": NUMBER_TYPES[numbers]
    for name, numbers in (
        ("Double", "float64"),
        ("Float", "float32"),
        ("Half", "float16"),
        ("BFloat16", "bfloat16"),
        ("ComplexDouble", "complex128"),
        ("ComplexFloat", "complex64"),
        ("Long", "int64"),
        ("Int", "int32"),
        ("Short", "int16"),
        ("Char", "int8"),
        ("Byte", "uint8"),
        ("Bool", "bool"),
    )
}

_BUILDERS = {
    "collections.OrderedDict": _dictionary,
    "torch.Size": _size,
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v3": _rebuild_tensor_v3,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.nn.parameter.Parameter": _parameter,
}

# What may stand beside the weights of a training and is not needed: numbers of numpy, whose own
# constructors would let a file choose a type's internal layout, and values without program code.
_BESIDE_WEIGHTS = (
    "numpy.dtype",
    "numpy.ndarray",
    "numpy.core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",  # numpy 2 renamed its core
    "numpy._core.multiarray._reconstruct",
    "_codecs.encode",  # bytes
    "builtins.bytearray",
    "builtins.complex",
    "builtins.set",
    "__builtin__.bytearray",
    "__builtin__.complex",
    "__builtin__.set",
    "collections.Counter",
    "torch.device",
)

# Tensors of kinds that no weight has. One in the place of a weight is refused by the weight's name.
_OTHER_TENSORS = (
    "torch._tensor._rebuild_from_type_v2",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor",
    "torch._utils._rebuild_device_tensor_from_numpy",
    "torch._utils._rebuild_meta_tensor_no_storage",
    "torch._utils._rebuild_nested_tensor",
    "torch._utils._rebuild_qtensor",
    "torch._utils._rebuild_sparse_tensor",
    "torch._utils._rebuild_wrapper_subclass",
    "torch.serialization._get_layout",
    "torch.per_channel_affine",
    "torch.per_tensor_affine",
    "torch.QInt32Storage",
    "torch.QInt8Storage",
    "torch.QUInt8Storage",
    "torch.float8_e4m3fn",
    "torch.float8_e4m3fnuz",
    "torch.float8_e5m2",
    "torch.float8_e5m2fnuz",
    "torch.float8_e8m0fnu",
)

_KINDS = ("torch.storage.UntypedStorage", *_STORAGES, *(f"torch.{name}" for name in NUMBER_TYPES))

_NAMES = {name: Name(name, _opaque) for name in (*_BESIDE_WEIGHTS, *_OTHER_TENSORS, *_KINDS)} | {
    name: Name(name, build) for name, build in _BUILDERS.items()
}
