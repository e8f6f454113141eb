"""Whether a card's intensity profile gives a network the values it was taught on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from GDLACore.calibration.input_statistics import InputStatistics
from GDLACore.model.card import IntensityProfile, ModelCard

AGREES, DIFFERS, UNKNOWN = "agrees", "differs", "unknown"

# Resampling with cubic splines overshoots, and training slices are rotated with zeros around them.
_SLACK = 1.1


@dataclass(frozen=True)
class Scale:
    """One way in which images are scaled before training.

    Training sets so scaled have a mean and a standard deviation within ``mean`` and ``deviation``;
    all values lie within ``limits``. ``kinds`` are the intensity profiles that scale so; a scale
    that no profile produces has "none", or nothing if images are not stored like that either.
    ``modalities`` restricts it; empty means any.
    """

    text: str
    limits: tuple[float, float]
    mean: tuple[float, float]
    deviation: tuple[float, float]
    kinds: tuple[str, ...]
    modalities: tuple[str, ...] = ()

    def suits(self, mean: float, deviation: float) -> bool:
        """Return whether training inputs so scaled can have had this mean and deviation."""
        low, high = self.limits
        # Bhatia and Davis (2000): no distribution within the limits has more variance than this.
        possible = math.inf if math.isinf(high) else (high - mean) * (mean - low)
        return (
            self.mean[0] <= mean <= self.mean[1]
            and self.deviation[0] <= deviation <= self.deviation[1]
            and deviation**2 <= possible * _SLACK
        )


# Means of -1 to 1 are put below 0: medical images are mostly dark, and above 0 they would be like
# those of 0 to 1. z-scores are wide because ImageNet's mean and deviation count among them.
SCALES = (
    Scale(
        "values from 0 to 1",
        limits=(0.0, 1.0),
        mean=(0.02, 0.9),
        deviation=(0.04, 0.5),
        kinds=("ct_window", "minmax_volume", "minmax_image"),
    ),
    Scale(
        "values of mean 0 and deviation 1",
        limits=(-math.inf, math.inf),
        mean=(-0.5, 0.5),
        deviation=(0.6, 1.4),
        kinds=("zscore_volume",),
    ),
    Scale(
        "values from -1 to 1",
        limits=(-1.0, 1.0),
        mean=(-0.98, 0.0),
        deviation=(0.08, 1.0),
        kinds=(),
    ),
    Scale(
        "values from 0 to 255",
        limits=(0.0, 255.0),
        mean=(4.0, 230.0),
        deviation=(10.0, 128.0),
        kinds=("none",),
        modalities=("MR", "US", "RGB"),
    ),
    Scale(
        "Hounsfield units clipped to a window but not scaled",
        limits=(-250.0, 450.0),
        mean=(-240.0, 200.0),
        deviation=(30.0, 300.0),
        kinds=(),
        modalities=("CT",),
    ),
    Scale(
        "Hounsfield units as stored",
        limits=(-2048.0, 3072.0),
        mean=(-950.0, 0.0),
        deviation=(250.0, 900.0),
        kinds=("none",),
        modalities=("CT",),
    ),
)


@dataclass(frozen=True)
class InputVerdict:
    """Whether card and weights agree about the inputs; shown to the user, never a refusal.

    ``outcome`` is AGREES, DIFFERS or UNKNOWN; ``kinds`` are the intensity profiles that would give
    such inputs, empty where the weights do not tell or no profile does. A card's own "none" is
    always among them: what it gives depends on how the images are stored, not on the weights.
    """

    outcome: str
    kinds: tuple[str, ...]
    sentence: str

    def rules_out(self, profile: IntensityProfile) -> bool:
        """Return whether ``profile`` cannot be what the network was taught on."""
        return bool(self.kinds) and profile.kind not in self.kinds


def check_inputs(statistics: InputStatistics, card: ModelCard) -> InputVerdict:
    """Return whether ``card.intensity`` gives what ``statistics`` says the network was taught on.

    Mean and deviation tell scales apart, not windows: ct_window, minmax_volume and minmax_image all
    end in 0 to 1 and look alike here.
    """
    if not statistics.consistent:
        return InputVerdict(UNKNOWN, (), _no_agreement(statistics))
    scales = [
        scale
        for scale in SCALES
        if (not scale.modalities or card.modality in scale.modalities)
        and scale.suits(statistics.mean, statistics.deviation)
    ]
    kinds = tuple(dict.fromkeys(kind for scale in scales for kind in scale.kinds))
    found = _taught_on(statistics, card)
    alike = " or ".join(scale.text for scale in scales)
    if not scales:
        return InputVerdict(DIFFERS, (), f"{found} This is no scale known here.")
    kind = card.intensity.kind
    if kind in kinds:
        return InputVerdict(
            AGREES, kinds, f"{found} This looks like {alike}, as the card's {kind} gives."
        )
    if kind == "none":
        return InputVerdict(
            UNKNOWN,
            (*kinds, kind),
            f"{found} This looks like {alike}; the card feeds values as they are stored, so they "
            f"must be stored like that.",
        )
    gives = f"as {' or '.join(kinds)} gives" if kinds else "which no intensity profile gives"
    return InputVerdict(
        DIFFERS, kinds, f"{found} This looks like {alike}, {gives}, not like the card's {kind}."
    )


def _taught_on(statistics: InputStatistics, card: ModelCard) -> str:
    text = (
        f"The network was taught on values of mean {statistics.mean:.3g} and standard deviation "
        f"{statistics.deviation:.3g} ({statistics.estimates} estimates from its weights agree)."
    )
    if card.in_channels == 3:
        text += (
            " Its three channels were equal: grey images."
            if statistics.grey
            else " Its three channels differed: colour images."
        )
    return text


def _no_agreement(statistics: InputStatistics) -> str:
    apart = max(statistics.mean_spread, statistics.deviation_spread)
    reason = (
        f"its {statistics.estimates} estimates are {apart:.0%} of a standard deviation apart"
        if math.isfinite(apart)
        else "they hold no usable estimate"
    )
    return (
        f"The weights do not tell what the network was taught on: {reason}. They may be untrained, "
        f"or trained further with their batch norms frozen."
    )
