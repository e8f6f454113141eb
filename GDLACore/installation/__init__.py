"""Which ONNX Runtime to install on a computer, and whether the installed one is whole.

Needs only the standard library: it is asked before anything is installed.
"""

from GDLACore.installation.choice import RuntimeChoice, runtime_choice, runtime_choices
from GDLACore.installation.installed import (
    InstalledBuild,
    Repair,
    installed_builds,
    needed_repair,
)
from GDLACore.installation.system import SystemFacts, detect_system

__all__ = [
    "InstalledBuild",
    "Repair",
    "RuntimeChoice",
    "SystemFacts",
    "detect_system",
    "installed_builds",
    "needed_repair",
    "runtime_choice",
    "runtime_choices",
]
