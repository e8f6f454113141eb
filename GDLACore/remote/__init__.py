"""Networks that run on a server of the Open Inference Protocol (KServe v2), such as Triton.

Needs no package beyond numpy and scipy, and no ONNX Runtime. Only slices leave this computer, as
the network takes them; no names, no identifiers, no paths.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from GDLACore.remote.report import ServedModel, ServerReport, check_server
from GDLACore.remote.server import RemoteServer

if TYPE_CHECKING:
    from GDLACore.remote.engine import RemoteEngine

__all__ = ["RemoteEngine", "RemoteServer", "ServedModel", "ServerReport", "check_server"]


def __getattr__(name: str) -> Any:
    # Engines import scipy, and a window that only names a server must open without.
    if name == "RemoteEngine":
        from GDLACore.remote.engine import RemoteEngine

        return RemoteEngine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
