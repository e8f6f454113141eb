"""Whether an image is what a model is for, judged by what it says of itself and by its values."""

from __future__ import annotations

import logging

from GDLACore.errors import VolumeError
from GDLACore.imaging.intensity import count_non_finite
from GDLACore.imaging.volume import Volume
from GDLACore.model.card import ModelCard

_log = logging.getLogger(__name__)

# DICOM's codes of images that show the body's inside. Others (photographs, screenshots, or none)
# do not say enough to refuse an image.
_RADIOLOGY = frozenset(
    {"CT", "MR", "US", "PT", "NM", "CR", "DX", "MG", "XA", "RF", "SEG", "RTDOSE"}
)

_AIR_HU, _FAT_HU = -900, -100

_MODALITIES = {
    "CT": "CT images",
    "MR": "MR images",
    "US": "ultrasound images",
    "RGB": "colour photographs",
}


def check_volume(volume: Volume, card: ModelCard) -> None:
    """Raise VolumeError if ``volume`` is not what ``card``'s model is for.

    A model for colour images accepts grey ones, repeated in every channel, except where colour is
    what it goes by (modality RGB): breast ultrasound was published as colour files without colour.
    """
    if volume.modality in _RADIOLOGY and volume.modality != card.modality:
        raise VolumeError(
            f"{volume.name} is a {volume.modality} image, but the model {card.name} "
            f"({card.title}) is for {_MODALITIES[card.modality]}.",
            "Choose a model for this kind of image.",
        )
    if volume.channels > card.in_channels:
        raise VolumeError(
            f"{volume.name} is a colour image, but the model {card.name} ({card.title}) is for "
            f"grey {_MODALITIES[card.modality]}.",
            "Choose the original image instead of a screenshot or a rendering of it, or another "
            "model.",
        )
    if volume.channels == 1 and card.modality == "RGB":
        raise VolumeError(
            f"{volume.name} is a grey image, but the model {card.name} ({card.title}) is for "
            f"{_MODALITIES[card.modality]} and goes by the colour.",
            "Choose the original colour image, or another model.",
        )


def check_values(volume: Volume, card: ModelCard) -> None:
    """Warn of values that are hardly what ``card``'s model is for.

    Raises VolumeError if they cannot be.
    """
    lowest, highest = float(volume.array.min()), float(volume.array.max())
    if lowest == highest:
        _log.warning(
            "All values of %s are the same (%g): nothing is to be seen.", volume.name, lowest
        )
    elif volume.modality is None:  # NIfTI, NRRD and pictures do not say
        _check_lowest(volume, lowest, card)
    if count := count_non_finite(volume.array):
        _log.warning(
            "%s has %d voxels that are not finite numbers; they count as the darkest value.",
            volume.name,
            count,
        )


def _check_lowest(volume: Volume, lowest: float, card: ModelCard) -> None:
    """Judge by the lowest value: Hounsfield units go down to -1000, pictures end at 0."""
    if card.modality in ("US", "RGB") and lowest < 0:
        raise VolumeError(
            f"{volume.name} has negative values, as CT has, but the model {card.name} "
            f"({card.title}) is for {_MODALITIES[card.modality]}.",
            "Choose a model for this kind of image.",
        )
    if card.modality == "MR" and lowest <= _AIR_HU:
        _log.warning(
            "%s has values down to %g, as CT has, but %s is for MR images: check the result.",
            volume.name,
            lowest,
            card.name,
        )
    if card.modality == "CT" and lowest > _FAT_HU:
        _log.warning(
            "%s shows neither air nor fat in Hounsfield units, but %s is for CT: check the result.",
            volume.name,
            card.name,
        )
