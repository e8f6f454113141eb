"""Whether the weights of a file fit a network, and if not, why, in words.

All names here are ours; GDLACore.weights.names translates the authors'.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from GDLACore.errors import ModelFileError
from GDLACore.model.card import ABLATIONS, MIXERS, ModelCard
from GDLACore.model.file_access import AGAIN, printable
from GDLACore.weights.names import encoder_name
from GDLACore.weights.shapes import Shapes

Weights = Mapping[str, np.ndarray]

_OTHER_CARD = "Choose the card this checkpoint was made for."
_OTHER_FILE = "Choose a checkpoint of the network that is wanted."

_VARIANCE = ".running_var"

# The first of these names that occurs tells the mixer. Softmax and linear attention have the same
# weights: nothing but the card tells them apart.
_MIXER_MARKS = (
    (".attn.lambda_main", ("gdla",)),
    (".attn.lambdas", ("gdla-no-gate",)),
    (".attn.lambda_", ("gdla-no-local",)),
    (".attn.lambda_q1", ("differential",)),
    (".attn.qkvg.weight", ("gdla-no-difference",)),
    (".attn.qkv.weight", ("softmax", "linear")),
)


def is_segmentation_network(weights: Weights) -> bool:
    """Return whether the names are those of a PVTv2 encoder together with a decoder."""
    return any(n.startswith(("encoder.patch_embed.", "encoder.stages.")) for n in weights) and any(
        n.startswith(("decoder.", "stem.")) for n in weights
    )


def as_encoder(weights: Weights) -> dict[str, np.ndarray]:
    """Return an encoder's weights by timm's names, less the ImageNet classifier."""
    return {
        encoder_name(name.removeprefix("encoder.")): value
        for name, value in weights.items()
        if not name.startswith("head.")
    }


def is_encoder(weights: Weights) -> bool:
    return any(name.startswith("patch_embed.") for name in weights) and any(
        name.startswith("stages.") for name in weights
    )


def check_card(weights: Weights, card: ModelCard, path: Path) -> None:
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


def check_encoder(weights: Weights, expected: Shapes, path: Path) -> None:
    """Raise ModelFileError if the encoder in ``weights`` has another depth or width.

    A deeper encoder of the same width would otherwise fit, less some of its blocks.
    """
    found = _encoder_size({name: value.shape for name, value in weights.items()})
    wanted = _encoder_size(expected)
    if found and found != wanted:
        raise ModelFileError(
            f"{path} holds a PVTv2 of another size: {found} instead of {wanted}.",
            "Choose weights of the same PVTv2 variant, b0 to b5.",
        )


def fitted(weights: Weights, expected: Shapes, path: Path, what: str) -> dict[str, np.ndarray]:
    """Return ``weights`` as float32 in C order, if they have the ``expected`` names and shapes.

    An array that is so already is not copied. ``what`` names the network in messages.

    Raises ModelFileError for missing and unknown names, wrong shapes, numbers that are not real
    floating-point, values that are not finite, and variances below zero.
    """
    missing, extra = expected.keys() - weights.keys(), weights.keys() - expected.keys()
    faults = []
    if missing:
        first = printable(min(missing))
        faults.append(f"lacks {len(missing)} of its {len(expected)} weights ({first}, …)")
    if extra:
        first = printable(min(extra))
        faults.append(f"holds {len(extra)} weights that it does not have ({first}, …)")
    if faults:
        raise ModelFileError(f"{path} does not fit {what}: it {' and '.join(faults)}.", _OTHER_FILE)
    return {name: _fitted_one(name, weights[name], expected[name], path) for name in expected}


def check_finite(name: str, value: np.ndarray, subject: str) -> None:
    """Raise ModelFileError, about ``subject``, if ``value`` holds NaN or infinity."""
    if not np.isfinite(value).all():
        raise ModelFileError(
            f"{subject} are not finite numbers, first in {name}.",
            "The training that made them has failed; use an earlier checkpoint.",
        )


def _fitted_one(name: str, value: np.ndarray, expected: tuple[int, ...], path: Path) -> np.ndarray:
    if value.shape != expected:
        raise ModelFileError(
            f"{path} does not fit: {name} has the shape {value.shape} instead of {expected}.",
            _OTHER_FILE,
        )
    if not np.issubdtype(value.dtype, np.floating):
        raise ModelFileError(
            f"{path} does not fit: {name} holds {value.dtype} instead of floating-point numbers.",
            _OTHER_FILE,
        )
    with np.errstate(over="ignore"):  # double precision may overflow, which the next check finds
        value = np.ascontiguousarray(value, np.float32).reshape(expected)
    check_finite(name, value, f"The weights in {path}")
    if name.endswith(_VARIANCE) and (value < 0).any():  # whose square root the network takes
        raise ModelFileError(
            f"{path} is damaged: {name} holds variances below zero.",
            AGAIN,
        )
    return value


def _mixers(weights: Weights) -> tuple[str, ...]:
    """Return the mixers these weights can belong to."""
    for mark, mixers in _MIXER_MARKS:
        if any(name.startswith("decoder.") and name.endswith(mark) for name in weights):
            return mixers
    return MIXERS + ABLATIONS


def _encoder_size(shapes: Shapes) -> str:
    """Return the blocks per stage and the first width, in words; "" if they cannot be told."""
    stages: dict[str, set[str]] = {}
    for name in shapes:
        head, _, rest = name.removeprefix("encoder.").partition(".blocks.")
        if rest and head.startswith("stages."):
            stages.setdefault(head, set()).add(rest.partition(".")[0])
    first = shapes.get("encoder.patch_embed.proj.weight", shapes.get("patch_embed.proj.weight"))
    if not stages or first is None:
        return ""
    blocks = ", ".join(str(len(stages[stage])) for stage in sorted(stages))
    return f"{blocks} blocks of first width {first[0] if first else 0}"
