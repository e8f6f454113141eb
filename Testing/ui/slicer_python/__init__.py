"""The part of Slicer's Python layer that no package has, written anew from how Slicer's behaves.

``install()`` provides ``slicer.ScriptedLoadableModule``, ``slicer.i18n`` and
``slicer.parameterNodeWrapper``, as far as a module of ours uses them. ``slicer.util`` is Slicer's
own, from slicer-core. Who has Slicer's sources can try with its own files instead::

    GDLA_SLICER_PYTHON=Slicer/Base/Python/slicer python -m pytest Testing/ui
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType


def install() -> None:
    """Let ``import slicer.…`` find them. ``qt``, ``ctk`` and Slicer's widgets must be there."""
    import slicer

    folder = os.environ.get("GDLA_SLICER_PYTHON")
    if folder:
        for name in ("i18n", "ScriptedLoadableModule", "parameterNodeWrapper", "packaging"):
            _add(slicer, name, _of_slicer(name, Path(folder)))
        return
    from slicer_python import i18n, parameter_node

    _add(slicer, "i18n", i18n)
    from slicer_python import scripted_loadable_module

    _add(slicer, "ScriptedLoadableModule", scripted_loadable_module)
    _add(slicer, "parameterNodeWrapper", parameter_node)


def _add(package: ModuleType, name: str, module: ModuleType) -> None:
    setattr(package, name, module)
    sys.modules[f"{package.__name__}.{name}"] = module


def _of_slicer(name: str, folder: Path) -> ModuleType:
    package = folder / name / "__init__.py"
    path = package if package.is_file() else folder / f"{name}.py"
    specification = importlib.util.spec_from_file_location(f"slicer.{name}", path)
    module = importlib.util.module_from_spec(specification)
    sys.modules[f"slicer.{name}"] = module
    specification.loader.exec_module(module)
    return module
