"""Networks that run on a server of the Open Inference Protocol (KServe v2), such as Triton.

Needs no package beyond numpy and scipy, and no ONNX Runtime. Only slices leave this computer, as
the network takes them; no names, no identifiers, no paths.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from GDLACore.remote.server import RemoteServer

if TYPE_CHECKING:
    from GDLACore.remote.engine import RemoteEngine
    from GDLACore.remote.report import ServedModel, ServerReport, check_server

__all__ = ["RemoteEngine", "RemoteServer", "ServedModel", "ServerReport", "check_server"]

_MODULES = {
    "RemoteEngine": "engine",
    "ServedModel": "report",
    "ServerReport": "report",
    "check_server": "report",
}


def __getattr__(name: str) -> Any:
    # Engines import scipy and reports how to connect: a window that only names a server, and the
    # worker's client in it, must open without.
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
