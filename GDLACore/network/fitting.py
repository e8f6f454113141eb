"""Whether the weights of a file fit a network, and if not, why, in words.

All names here are ours; GDLACore.network.official_names translates the authors'.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from GDLACore.errors import ModelFileError
from GDLACore.model.card import MIXERS, ModelCard

_OTHER_CARD = "Choose the card this checkpoint was made for."
_OTHER_FILE = "Choose a checkpoint of the network that is wanted."

# The first of these names that occurs tells the mixer. Softmax and linear attention have the same
# weights: nothing but the card tells them apart.
_MIXER_MARKS = (
    (".attn.lambda_main", ("gdla",)),
    (".attn.lambda_q1", ("differential",)),
    (".attn.qkv.weight", ("softmax", "linear")),
)


def is_segmentation_network(weights: Mapping[str, Tensor]) -> bool:
    """Return whether the names are those of a PVTv2 encoder together with a decoder."""
    return any(n.startswith(("encoder.patch_embed.", "encoder.stages.")) for n in weights) and any(
        n.startswith(("decoder.", "stem.")) for n in weights
    )


def check_card(weights: Mapping[str, Tensor], card: ModelCard, path: Path) -> None:
    """Compare what the weights tell of the task and the architecture with ``card``.

    Raises ModelFileError for the first difference; it explains more than a list of wrong shapes.
    """
    for name, axis, wanted, what in (
        ("head.weight", 0, card.classes, "classes (background included)"),
        ("stem.conv1.weight", 1, card.in_channels, "input channels"),
    ):
        shape = tuple(weights[name].shape) if name in weights else ()
        if len(shape) == 4 and shape[axis] != wanted:
            raise ModelFileError(
                f"{path} is a network for {shape[axis]} {what}, "
                f"but the card {card.name} says {wanted}.",
                _OTHER_CARD,
            )
    mixers = _mixers(weights)
    if card.architecture.mixer not in mixers:
        raise ModelFileError(
            f"{path} is a network with the {' or '.join(mixers)} mixer, "
            f"but the card {card.name} says {card.architecture.mixer}.",
            _OTHER_CARD,
        )


def check_encoder(
    weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path
) -> None:
    """Raise ModelFileError if the encoder in ``weights`` has another depth or width.

    A deeper encoder of the same width would otherwise fit, less some of its blocks.
    """
    found, wanted = _encoder_size(weights), _encoder_size(expected)
    if found and found != wanted:
        raise ModelFileError(
            f"{path} holds a PVTv2 of another size: {found} instead of {wanted}.",
            "Choose weights of the same PVTv2 variant, b0 to b5.",
        )


def fitted(
    weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path, what: str
) -> dict[str, Tensor]:
    """Return ``weights`` in the types of ``expected``, if they are those and no others.

    ``what`` names the network in messages. Raises ModelFileError for missing and unknown names,
    wrong shapes, numbers that are not real floating-point, and values that are not finite.
    """
    missing, extra = expected.keys() - weights.keys(), weights.keys() - expected.keys()
    faults = []
    if missing:
        faults.append(f"lacks {len(missing)} of its {len(expected)} weights ({min(missing)}, …)")
    if extra:
        faults.append(f"holds {len(extra)} weights that it does not have ({min(extra)[:80]}, …)")
    if faults:
        raise ModelFileError(f"{path} does not fit {what}: it {' and '.join(faults)}.", _OTHER_FILE)
    return {name: _fitted_one(name, weights[name], expected[name], path) for name in expected}


def check_finite(name: str, value: Tensor, subject: str) -> None:
    """Raise ModelFileError, about ``subject``, if ``value`` holds NaN or infinity."""
    if not torch.isfinite(value).all():
        raise ModelFileError(
            f"{subject} are not finite numbers, first in {name}.",
            "The training that made them has failed; use an earlier checkpoint.",
        )


def _fitted_one(name: str, value: Tensor, expected: Tensor, path: Path) -> Tensor:
    if value.shape != expected.shape:
        raise ModelFileError(
            f"{path} does not fit: {name} has the shape {tuple(value.shape)} "
            f"instead of {tuple(expected.shape)}.",
            _OTHER_FILE,
        )
    if not value.is_floating_point():
        raise ModelFileError(
            f"{path} does not fit: {name} holds {str(value.dtype).removeprefix('torch.')} "
            "instead of floating-point numbers.",
            _OTHER_FILE,
        )
    # Converted first: eight-bit types know no isfinite, and double precision may overflow.
    value = value.to(expected.dtype)
    check_finite(name, value, f"The weights in {path}")
    return value


def _mixers(weights: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Return the mixers these weights can belong to."""
    for mark, mixers in _MIXER_MARKS:
        if any(name.startswith("decoder.") and name.endswith(mark) for name in weights):
            return mixers
    return MIXERS


def _encoder_size(weights: Mapping[str, Tensor]) -> str:
    """Return the blocks per stage and the first width, in words; "" if they cannot be told."""
    stages: dict[str, set[str]] = {}
    for name in weights:
        head, _, rest = name.removeprefix("encoder.").partition(".blocks.")
        if rest and head.startswith("stages."):
            stages.setdefault(head, set()).add(rest.partition(".")[0])
    first = weights.get("encoder.patch_embed.proj.weight", weights.get("patch_embed.proj.weight"))
    if not stages or first is None:
        return ""
    blocks = ", ".join(str(len(stages[stage])) for stage in sorted(stages))
    return f"{blocks} blocks of first width {len(first) if first.dim() else 0}"
