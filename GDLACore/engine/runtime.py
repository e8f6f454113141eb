"""The ONNX Runtime that is installed, or what is wrong with it."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType

from GDLACore.engine.native_output import captured_output
from GDLACore.errors import EngineError
from GDLACore.installation import detect_system, installed_builds, needed_repair


def onnx_runtime() -> ModuleType:
    """Return the module ``onnxruntime``.

    Raises EngineError, with the commands that mend it, if it is not installed or only half:
    its builds for different processors overwrite each other's files, and removing one of two
    leaves a package without its library.
    """
    problem = "another folder of that name hides it"
    # Unless told so before it is imported, it reports to its makers over the network and keeps
    # files for that in the user's folders. What a hospital computes is nobody else's business.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        # It searches for GPUs as it is imported, and complains of computers that have none.
        with captured_output():
            runtime = importlib.import_module("onnxruntime")
        if hasattr(runtime, "InferenceSession"):
            return runtime
    except (ImportError, AttributeError, OSError) as error:
        problem = str(error)
    builds = installed_builds()
    repair = needed_repair(builds, detect_system())
    if repair is not None:
        raise EngineError(repair.message, repair.hint)
    needed = "Install Microsoft's Visual C++ Redistributable. " if sys.platform == "win32" else ""
    raise EngineError(
        f"{builds[0].package} {builds[0].version} is installed but cannot be loaded: {problem}.",
        f"{needed}Run pip install --force-reinstall --no-deps {builds[0].package}.",
    )
