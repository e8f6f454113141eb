"""How a time grows with the size of what is computed."""

from __future__ import annotations

import math
from collections.abc import Mapping


def exponent(times: Mapping[int, float]) -> float:
    """Return p of the law time = c * pixels^p that fits ``times``, by the side of the square.

    Least squares of log(time) over log(pixels); nan where fewer than two sizes were measured.
    """
    points = [(2 * math.log(side), math.log(seconds)) for side, seconds in times.items()]
    if len(points) < 2:
        return math.nan
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum(
        (x - mean_x) ** 2 for x, _ in points
    )
