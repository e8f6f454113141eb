"""Which ONNX Runtime to install on a computer, and how; whether the installed one is whole.

Needs only the standard library: it is asked before anything is installed.
"""

from GDLACore.installation.background import Installation
from GDLACore.installation.choice import RuntimeChoice, runtime_choice, runtime_choices
from GDLACore.installation.events import Event, Failed, Finished, Line, Step, Stopped
from GDLACore.installation.installed import (
    InstalledBuild,
    Repair,
    installed_builds,
    needed_repair,
)
from GDLACore.installation.runtime_folder import RuntimeFolder
from GDLACore.installation.runtime_state import (
    Absent,
    Damaged,
    OtherPython,
    Ready,
    RuntimeState,
)
from GDLACore.installation.system import SystemFacts, detect_system, this_system

__all__ = [
    "Absent",
    "Damaged",
    "Event",
    "Failed",
    "Finished",
    "InstalledBuild",
    "Installation",
    "Line",
    "OtherPython",
    "Ready",
    "Repair",
    "RuntimeChoice",
    "RuntimeFolder",
    "RuntimeState",
    "Step",
    "Stopped",
    "SystemFacts",
    "detect_system",
    "installed_builds",
    "needed_repair",
    "runtime_choice",
    "runtime_choices",
    "this_system",
]
