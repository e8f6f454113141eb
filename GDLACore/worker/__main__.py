"""The worker's program: ``python …/GDLACore/worker/__main__.py``, or ``-m GDLACore.worker``.

It needs nothing but this file's path: the package is taken from around it, wherever that is, and
no other module from there nor from the current folder. A folder given as the only argument goes in
front of where packages are looked for: ONNX Runtime may be installed there for the worker alone.

Commands come in on stdin and reports go out on stdout, which nothing else may use; see
docs/worker-protocol.md.
"""

from __future__ import annotations

import sys

# Before anything else is imported: an interpreter puts the script's own folder, or with ``-m`` the
# current one, in front of everything.
if __name__ == "__main__" and not getattr(sys.flags, "safe_path", False):
    del sys.path[0]

import faulthandler
import importlib.util
import os
from pathlib import Path
from typing import BinaryIO

_HERE = Path(__file__).resolve().parent


def _protocol_streams() -> tuple[BinaryIO, BinaryIO]:
    """Return stdin and stdout, and leave everyone else nothing to read, and stderr to write to.

    Native libraries print to file descriptor 1 whatever Python's ``sys.stdout`` is.
    """
    commands = os.fdopen(os.dup(0), "rb")
    reports = os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdin = open(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.stderr
    return commands, reports


def _use_this_package() -> None:
    """Make ``GDLACore`` the package around this file, and import nothing else from beside it.

    In Slicer it lies among the modules of many extensions.
    """
    if "GDLACore" in sys.modules:  # with ``-m``
        return
    package = _HERE.parent
    spec = importlib.util.spec_from_file_location(
        "GDLACore", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["GDLACore"] = module
    spec.loader.exec_module(module)


def main() -> None:
    """Serve the client on stdin and stdout; never returns."""
    commands, reports = _protocol_streams()
    faulthandler.enable()
    sys.path[:0] = sys.argv[1:2]
    _use_this_package()
    from GDLACore.worker.process_server import serve_streams

    serve_streams(commands, reports)


if __name__ == "__main__":
    main()
