"""Where the organs of the abdomen lie and how large they are, and in which orders they are listed.

Positions are centroids in mm along the patient's right (R), front (A) and head (S), from the middle
of the aorta; tolerances are standard deviations between patients, wide enough for scans that cut an
organ off. Only differences between organs are used, so no landmark has to be found.
"""

from __future__ import annotations

from dataclasses import dataclass

LEFT, RIGHT = "7771000", "24028007"  # SNOMED CT


@dataclass(frozen=True)
class Organ:
    """What is to be expected of an organ in an adult.

    ``code`` and ``side`` are SNOMED CT's type and modifier. ``area`` is the mean cross-section in
    cm2 over the organ's height, and ``area_factor`` one standard deviation of it as a factor.
    ``coverage`` is the organ's height as a share of that of all labelled organs together.
    """

    name: str
    code: str
    side: str | None
    position: tuple[float, float, float]
    tolerance: tuple[float, float, float]
    area: float
    area_factor: float
    coverage: float
    coverage_tolerance: float


AORTA = Organ("aorta", "15825003", None, (0, 0, 0), (15, 20, 70), 4, 1.6, 1.0, 0.15)
GALLBLADDER = Organ("gallbladder", "28231008", None, (70, 45, -5), (25, 25, 35), 7, 2, 0.3, 0.3)
LEFT_KIDNEY = Organ(
    "left kidney", "64033007", LEFT, (-60, -30, -10), (20, 20, 35), 15, 1.6, 0.6, 0.3
)
RIGHT_KIDNEY = Organ(
    "right kidney", "64033007", RIGHT, (70, -30, -20), (20, 20, 35), 15, 1.6, 0.6, 0.3
)
LIVER = Organ("liver", "10200004", None, (85, 25, 30), (25, 25, 35), 110, 1.6, 0.8, 0.3)
PANCREAS = Organ("pancreas", "15776009", None, (-10, 30, 5), (25, 20, 30), 6, 2, 0.4, 0.3)
SPLEEN = Organ("spleen", "78961009", None, (-90, -30, 30), (25, 30, 35), 35, 1.8, 0.6, 0.3)
STOMACH = Organ("stomach", "69695003", None, (-35, 50, 30), (30, 30, 40), 25, 2, 0.6, 0.3)

ORGANS = (AORTA, GALLBLADDER, LEFT_KIDNEY, RIGHT_KIDNEY, LIVER, PANCREAS, SPLEEN, STOMACH)

# The orders, from 1, in which networks for these eight organs of the same public CTs are published.
KNOWN_ORDERS = {
    "TransUNet": (
        AORTA, GALLBLADDER, LEFT_KIDNEY, RIGHT_KIDNEY, LIVER, PANCREAS, SPLEEN, STOMACH,
    ),
    "SAMed": (SPLEEN, RIGHT_KIDNEY, LEFT_KIDNEY, GALLBLADDER, LIVER, STOMACH, AORTA, PANCREAS),
    "SLDGroup": (SPLEEN, RIGHT_KIDNEY, LEFT_KIDNEY, GALLBLADDER, PANCREAS, LIVER, STOMACH, AORTA),
}  # fmt: skip
