"""The GPUs of a Windows computer, as DirectX lists them."""

from __future__ import annotations

import ctypes
import sys
import uuid
from collections.abc import Callable
from typing import Any

from GDLACore.installation.gpu import Gpu

_FACTORY = uuid.UUID("770aae78-f26f-4dba-a829-253c83d1b387")  # IDXGIFactory1

# Places in the tables of methods of IUnknown, IDXGIFactory1 and IDXGIAdapter1.
_RELEASE, _ENUM_ADAPTERS, _GET_DESCRIPTION = 2, 12, 10

_SOFTWARE = 2
_VENDORS = {0x10DE: "NVIDIA", 0x1002: "AMD", 0x8086: "Intel", 0x5143: "Qualcomm"}
_MICROSOFT = 0x1414  # the stand-ins: no GPUs
_MOST = 64


class AdapterDescription(ctypes.Structure):
    """DXGI_ADAPTER_DESC1."""

    _fields_ = (
        ("description", ctypes.c_uint16 * 128),  # UTF-16, whatever this system's characters are
        ("vendor", ctypes.c_uint32),
        ("device", ctypes.c_uint32),
        ("subsystem", ctypes.c_uint32),
        ("revision", ctypes.c_uint32),
        ("video_memory", ctypes.c_size_t),
        ("system_memory", ctypes.c_size_t),
        ("shared_memory", ctypes.c_size_t),
        ("identifier", ctypes.c_uint32 * 2),
        ("flags", ctypes.c_uint32),
    )

    @property
    def name(self) -> str:
        """Return the name up to its terminating zero."""
        return bytes(self.description).decode("utf-16-le", "replace").partition("\0")[0].strip()


def directx_adapters() -> tuple[Gpu, ...]:
    """Return the GPUs that DirectX can use, the one that shows the desktop first; () elsewhere."""
    if sys.platform != "win32":
        return ()
    try:
        create = ctypes.WinDLL("dxgi").CreateDXGIFactory1
    except (OSError, AttributeError):
        return ()
    factory = ctypes.c_void_p()
    create.argtypes = [ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p)]
    if create(_FACTORY.bytes_le, ctypes.byref(factory)) < 0:
        return ()
    try:
        return listed_adapters(factory, ctypes.WINFUNCTYPE)
    finally:
        _method(factory, _RELEASE, ctypes.WINFUNCTYPE)(factory)


def listed_adapters(factory: ctypes.c_void_p, prototype: Callable[..., Any]) -> tuple[Gpu, ...]:
    """Return the GPUs that ``factory``, an IDXGIFactory1, lists.

    ``prototype`` makes function types of the calling convention of its methods.
    """
    gpus = []
    enumerate_adapters = _method(
        factory, _ENUM_ADAPTERS, prototype, ctypes.c_uint32, ctypes.POINTER(ctypes.c_void_p)
    )
    for index in range(_MOST):
        adapter = ctypes.c_void_p()
        if enumerate_adapters(factory, index, ctypes.byref(adapter)) < 0:  # no more
            break
        description = AdapterDescription()
        describe = _method(adapter, _GET_DESCRIPTION, prototype, ctypes.POINTER(AdapterDescription))
        failed = describe(adapter, ctypes.byref(description)) < 0
        _method(adapter, _RELEASE, prototype)(adapter)
        if not (failed or description.flags & _SOFTWARE or description.vendor == _MICROSOFT):
            gpus.append(Gpu(_VENDORS.get(description.vendor, "other"), description.name))
    # A laptop's second GPU is listed once more as the first of some of its screens.
    return tuple(dict.fromkeys(gpus))


def _method(
    instance: ctypes.c_void_p, place: int, prototype: Callable[..., Any], *arguments: Any
) -> Callable[..., int]:
    """Return the method at ``place`` in the table that every COM object begins with."""
    table = ctypes.cast(instance, ctypes.POINTER(ctypes.POINTER(ctypes.c_void_p))).contents
    return prototype(ctypes.c_int32, ctypes.c_void_p, *arguments)(table[place])
