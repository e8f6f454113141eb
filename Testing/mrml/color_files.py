"""The color map that Slicer finds in a file of its own when it starts, and slicer-core has not.

Slicer brings some twenty. Of the one that is used here the five colors below are enough, with
straight lines between them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

_COUNT = 256
_PLASMA = [(13, 8, 135), (126, 3, 168), (204, 71, 120), (248, 149, 64), (240, 249, 33)]


def write_color_files(folder: Path) -> None:
    """Write ``Plasma.txt`` into ``folder``, which must exist."""
    places = np.linspace(0, len(_PLASMA) - 1, _COUNT)
    channels = [np.interp(places, range(len(_PLASMA)), one) for one in np.transpose(_PLASMA)]
    lines = [
        f"{index} {index} {red:.0f} {green:.0f} {blue:.0f} 255"
        for index, (red, green, blue) in enumerate(np.transpose(channels))
    ]
    (folder / "Plasma.txt").write_text("\n".join([f"# {_COUNT} values", *lines, ""]), "utf-8")
