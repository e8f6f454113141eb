"""``gdla runtime``: which ONNX Runtime suits this computer, and whether it is there and whole."""

from __future__ import annotations

import dataclasses
import json
from argparse import Namespace

from GDLACore.cli.tables import print_table
from GDLACore.installation import (
    detect_system,
    installed_builds,
    needed_repair,
    runtime_choices,
)


def describe(arguments: Namespace) -> None:
    """Print the builds that work on this computer, best first, and what is installed."""
    system = detect_system()
    choices = runtime_choices(system)
    builds = installed_builds()
    repair = needed_repair(builds, system)
    if arguments.json:
        facts = {
            "choices": [dataclasses.asdict(choice) for choice in choices],
            "installed": [dataclasses.asdict(build) for build in builds],
            "repair": None if repair is None else dataclasses.asdict(repair),
        }
        print(json.dumps(facts, indent=2))
        return
    rows = [
        [choice.device, " ".join(choice.requirements), choice.cost, choice.reason]
        for choice in choices
    ]
    print_table(["For", "Package", "Size", "Why"], rows)
    for build in builds:
        print(f"Installed: {build.package} {build.version}")
    if repair is not None:
        print(f"{repair.message} {repair.hint}")
