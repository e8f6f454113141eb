"""Which intensity profiles are worth trying for a network."""

from __future__ import annotations

from collections.abc import Iterable

from GDLACore.model.card import IntensityProfile, ModelCard

# The window of the public abdominal CT files that most networks of this family were taught on.
_USUAL_WINDOW = IntensityProfile("ct_window", -125.0, 275.0)

_GREY = (IntensityProfile("zscore_volume"), IntensityProfile("minmax_volume"))
_COLOUR = (IntensityProfile("minmax_image"), *_GREY)


def candidate_profiles(card: ModelCard, kinds: Iterable[str] = ()) -> tuple[IntensityProfile, ...]:
    """Return the profiles to try, the card's own first.

    ``kinds`` are those that the training inputs point to; of these, "none" is tried only then.
    """
    usual = _COLOUR if card.in_channels == 3 else _GREY
    if card.modality == "CT":
        usual = (_USUAL_WINDOW, *usual)
    if "none" in kinds:
        usual = (*usual, IntensityProfile("none"))
    return (card.intensity, *(profile for profile in usual if profile != card.intensity))
