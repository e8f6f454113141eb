"""Which wheels of a folder are needed to install a package on a computer."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from GDLACore.errors import EngineError
from GDLACore.installation import SystemFacts
from GDLACore.offline.platforms import dotted
from GDLACore.offline.requirements import Requirement, numbers, parse_requirement
from GDLACore.offline.wheel import Wheel

# 3D Slicer brings it, and must keep its own.
PROVIDED = frozenset({"numpy"})


def needed_wheels(
    wanted: Sequence[str],
    wheels: Sequence[Wheel],
    system: SystemFacts,
    provided: Collection[str] = PROVIDED,
) -> tuple[Wheel, ...]:
    """Return the wheels among ``wheels`` that install the requirements ``wanted`` on ``system``.

    What ``provided`` names is there already. Of several versions the newest that will do is taken.

    Raises EngineError if one is missing or unsuitable.
    """
    chosen: dict[str, Wheel] = {}
    open_ones = [found for text in wanted if (found := parse_requirement(text))]
    seen: set[Requirement] = set()
    while open_ones:
        requirement = open_ones.pop(0)
        # What is asked for is taken even where an older one is there.
        if requirement in seen or (requirement.name in provided and chosen):
            continue
        seen.add(requirement)
        try:
            best = chosen.get(requirement.name) or _best(requirement, wheels, system)
        except EngineError:
            if requirement.conditional:  # not needed here, then: pip collects what is
                continue
            raise
        chosen[requirement.name] = best
        open_ones += [
            needed
            for needed in best.requirements()
            if not needed.extra or needed.extra in requirement.extras
        ]
    return tuple(sorted(chosen.values(), key=lambda one: one.path.name))


def _best(requirement: Requirement, wheels: Sequence[Wheel], system: SystemFacts) -> Wheel:
    named = [one for one in wheels if one.name == requirement.name]
    misfits = {one.path.name: one.misfit(system) for one in named}
    for one in named:
        if not misfits[one.path.name] and not requirement.accepts(one.version):
            misfits[one.path.name] = f"is version {one.version}"
    fitting = [one for one in named if not misfits[one.path.name]]
    if fitting:
        return max(fitting, key=lambda one: numbers(one.version) or ())
    wanted = f"{requirement.name}{requirement.versions}"
    computer = f"{system.os} ({system.machine}) with Python {dotted(system.python)}"
    reasons = "; ".join(f"{name} {reason}" for name, reason in misfits.items())
    raise EngineError(
        f"There is no wheel of {wanted} for {computer}{f': {reasons}' if reasons else ''}.",
        "Add the one for this kind of computer to the folder.",
    )
