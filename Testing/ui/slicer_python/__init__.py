"""The part of Slicer's Python layer that no package has, written anew from how Slicer's behaves.

``install()`` provides ``slicer.ScriptedLoadableModule``, ``slicer.i18n`` and
``slicer.parameterNodeWrapper``, as far as a module of ours uses them. ``slicer.util`` is Slicer's
own, from slicer-core.
"""

from __future__ import annotations

import sys
from types import ModuleType


def install() -> None:
    """Let ``import slicer.…`` find them. ``qt``, ``ctk`` and Slicer's widgets must be there."""
    import slicer

    from slicer_python import i18n, parameter_node

    _add(slicer, "i18n", i18n)
    from slicer_python import scripted_loadable_module

    _add(slicer, "ScriptedLoadableModule", scripted_loadable_module)
    _add(slicer, "parameterNodeWrapper", parameter_node)


def _add(package: ModuleType, name: str, module: ModuleType) -> None:
    setattr(package, name, module)
    sys.modules[f"{package.__name__}.{name}"] = module
