"""What to install for a processor that the installed ONNX Runtime is built without."""

from __future__ import annotations

from GDLACore.engine.accelerators import Accelerator
from GDLACore.errors import EngineError
from GDLACore.installation import (
    RuntimeChoice,
    detect_system,
    installed_builds,
    needed_repair,
    runtime_choices,
)


def remedy(wanted: Accelerator) -> str:
    """Return what to do, on this computer, to use ``wanted``, and what that costs, as a hint."""
    system = detect_system()
    choices: tuple[RuntimeChoice, ...] = ()
    try:
        # Two builds that overwrote each other lack what one of them came with.
        if repair := needed_repair(installed_builds(), system):
            return f"{repair.message} {repair.hint}"
        choices = runtime_choices(system)
    except EngineError:  # nothing is published for this computer: someone built what is installed
        pass
    if not wanted.build:
        return (
            f"It is in the package {wanted.package}; install that in place of the present one, or "
            "choose the device auto or cpu."
        )
    for choice in choices:
        if choice.device.startswith(wanted.build):
            return (
                f"Install {' '.join(choice.requirements)} ({choice.cost}) in place of the present "
                "one, or choose the device auto or cpu."
            )
    return (
        f"It is in the package {wanted.package}, but nothing was found on this computer that it "
        "could use; choose the device auto or cpu."
    )
