"""Installing ONNX Runtime from a folder of wheels into the folder that only the worker searches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from GDLACore.installation import Installation, RuntimeChoice, RuntimeFolder, this_system
from GDLACore.offline.install import offline_install

# What its builds of the last years ask for beside numpy, and computing with them does not need.
_SPARED = (
    "coloredlogs",
    "flatbuffers",
    "humanfriendly",
    "mpmath",
    "packaging",
    "protobuf",
    "sympy",
)


def install_from_folder(
    runtime: RuntimeFolder, wheels: Path, choices: Sequence[RuntimeChoice]
) -> Installation:
    """Begin to install the first of ``choices`` that ``wheels`` holds, without any network.

    ``wheels`` is a bundle or any folder of wheels; it is looked into in the background.
    """
    return runtime.install_wheels(lambda: offline_install(wheels, choices, this_system(), _SPARED))
