"""The network without its weights: the name and shape of every one of them.

Reads like the architecture in GDLACore.network, whose names these are, but needs no PyTorch. Every
function returns the weights of one part, in the order the part uses them; ``_at`` hangs them below
the part's name.
"""

from __future__ import annotations

from dataclasses import dataclass

from GDLACore.model.card import ABLATIONS, ENCODERS, MIXERS, Architecture

Shapes = dict[str, tuple[int, ...]]

HEAD_WIDTH = 32  # of the decoder's token mixers


@dataclass(frozen=True)
class EncoderSize:
    """What tells one PVTv2 from another, per stage: channels, blocks, widening of the MLP."""

    channels: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]
    mlp_ratios: tuple[int, int, int, int] = (8, 8, 4, 4)


_WIDE = (64, 128, 320, 512)

# Table 1 of arXiv 2106.13797.
ENCODER_SIZES = {
    "b0": EncoderSize((32, 64, 160, 256), (2, 2, 2, 2)),
    "b1": EncoderSize(_WIDE, (2, 2, 2, 2)),
    "b2": EncoderSize(_WIDE, (3, 4, 6, 3)),
    "b3": EncoderSize(_WIDE, (3, 4, 18, 3)),
    "b4": EncoderSize(_WIDE, (3, 8, 27, 3)),
    "b5": EncoderSize(_WIDE, (3, 6, 40, 3), mlp_ratios=(4, 4, 4, 4)),
}

# How much coarser than its queries a stage's keys and values are.
_REDUCTIONS = (8, 4, 2, 1)


def weight_shapes(architecture: Architecture, in_channels: int, classes: int) -> Shapes:
    """Return the shape of every weight of the network for inference, under our names.

    Matrices are [out, in], convolutions [out, in / groups, height, width], transposed ones
    [in, out, height, width]. Counters of batches and the heads that exist only to teach are left
    out. Raises ValueError for an unknown encoder or mixer or impossible sizes.
    """
    if architecture.encoder not in ENCODER_SIZES:
        raise ValueError(
            f"encoder must be one of {', '.join(ENCODERS)}, not {architecture.encoder!r}"
        )
    if in_channels not in (1, 3):
        raise ValueError(f"in_channels must be 1 or 3, not {in_channels}")
    if classes < 1:
        raise ValueError(f"classes must be at least 1, not {classes}")
    size = ENCODER_SIZES[architecture.encoder]
    c1, c2, c3, c4 = size.channels
    return {
        **_at("encoder", _encoder(size)),
        **_at("decoder.0", _decoder_stage(c4, c3, architecture.mixer)),
        **_at("decoder.1", _decoder_stage(c3, c2, architecture.mixer)),
        **_at("decoder.2", _decoder_stage(c2, c1, architecture.mixer)),
        **_at("stem", _stem(in_channels, c1)),
        **_at("head", _conv(c1, classes, 1)),
    }


def _encoder(size: EncoderSize) -> Shapes:
    shapes = _at("patch_embed", _patch_embedding(3, size.channels[0], kernel=7))
    for stage, channels in enumerate(size.channels):
        part: Shapes = {}
        if stage:
            narrower = size.channels[stage - 1]
            part |= _at("downsample", _patch_embedding(narrower, channels, kernel=3))
        block = _encoder_block(channels, size.mlp_ratios[stage], _REDUCTIONS[stage])
        for index in range(size.depths[stage]):
            part |= _at(f"blocks.{index}", block)
        shapes |= _at(f"stages.{stage}", {**part, **_at("norm", _norm(channels))})
    return shapes


def _patch_embedding(inward: int, outward: int, kernel: int) -> Shapes:
    return {**_at("proj", _conv(inward, outward, kernel)), **_at("norm", _norm(outward))}


def _encoder_block(channels: int, mlp_ratio: int, reduction: int) -> Shapes:
    attention = {
        **_at("q", _linear(channels, channels)),
        **_at("kv", _linear(channels, 2 * channels)),
        **_at("proj", _linear(channels, channels)),
    }
    if reduction > 1:
        attention |= _at("sr", _conv(channels, channels, reduction))
        attention |= _at("norm", _norm(channels))
    hidden = mlp_ratio * channels
    mlp = {
        **_at("fc1", _linear(channels, hidden)),
        **_at("dwconv", _depthwise(hidden)),
        **_at("fc2", _linear(hidden, channels)),
    }
    return {
        **_at("norm1", _norm(channels)),
        **_at("attn", attention),
        **_at("norm2", _norm(channels)),
        **_at("mlp", mlp),
    }


def _decoder_stage(inward: int, outward: int, mixer: str) -> Shapes:
    return {"up.weight": (inward, outward, 3, 3), **_at("block", _decoder_block(mixer, outward))}


def _decoder_block(mixer: str, channels: int) -> Shapes:
    if mixer in _GDLA_ATTENTIONS:
        before = _at("conv", _conv(channels, channels, 3))
        attention, mlp = _GDLA_ATTENTIONS[mixer](channels), _gated_conv_mlp(channels)
    elif mixer == "differential":
        before = {}
        attention, mlp = _differential_attention(channels), _mlp(channels, 8 * channels)
    elif mixer in MIXERS:  # softmax and linear attention have the same weights
        before = {}
        attention, mlp = _attention(channels), _mlp(channels, 4 * channels)
    else:
        raise ValueError(f"mixer must be one of {', '.join(MIXERS + ABLATIONS)}, not {mixer!r}")
    return {
        **_at("norm1", _norm(channels)),
        **before,
        **_at("attn", attention),
        **_at("norm2", _norm(channels)),
        **_at("mlp", mlp),
    }


def _gdla(channels: int) -> Shapes:
    return {
        "lambda_main": (channels // HEAD_WIDTH, HEAD_WIDTH),
        "lambda_local": (channels // HEAD_WIDTH, HEAD_WIDTH),
        **_gdla_without_difference(channels),
    }


def _gdla_without_gate(channels: int) -> Shapes:
    return {
        "lambdas": (2, channels // HEAD_WIDTH, HEAD_WIDTH),
        **_at("qkv", _linear(channels, 3 * channels)),
        **_at("local", _local(3 * channels)),
        "norm.weight": (HEAD_WIDTH,),
        **_at("out_proj", _linear(2 * channels, channels)),
    }


def _gdla_without_difference(channels: int) -> Shapes:
    return {
        **_at("qkvg", _linear(channels, 4 * channels)),
        **_at("local", _local(4 * channels)),
        "norm.weight": (HEAD_WIDTH,),
        **_at("out_proj", _linear(2 * channels, channels)),
    }


def _gdla_without_local_branch(channels: int) -> Shapes:
    return {
        "lambda_": (channels // HEAD_WIDTH, HEAD_WIDTH),
        **_at("qkvg", _linear(channels, 4 * channels)),
        "norm.weight": (HEAD_WIDTH,),
        **_at("out_proj", _linear(channels, channels)),
    }


_GDLA_ATTENTIONS = {
    "gdla": _gdla,
    "gdla-no-gate": _gdla_without_gate,
    "gdla-no-difference": _gdla_without_difference,
    "gdla-no-local": _gdla_without_local_branch,
}


def _local(channels: int) -> Shapes:
    return {**_at("0", _depthwise(channels)), **_at("1", _conv(channels, channels, 1))}


def _attention(channels: int) -> Shapes:
    return {
        **_at("qkv", _linear(channels, 3 * channels)),
        **_at("out_proj", _linear(channels, channels)),
    }


def _differential_attention(channels: int) -> Shapes:
    return {
        **{f"lambda_{part}": (HEAD_WIDTH,) for part in ("q1", "k1", "q2", "k2")},
        **_at("qkv", _linear(channels, 3 * channels)),
        "norm.weight": (HEAD_WIDTH,),
        "out_proj.weight": (channels, channels),
    }


def _gated_conv_mlp(channels: int) -> Shapes:
    return {
        **_at("expand", _conv(channels, 8 * channels, 1)),
        **_at("depthwise", _depthwise(8 * channels)),
        "project.weight": (channels, 4 * channels, 1, 1),
    }


def _mlp(channels: int, expanded: int) -> Shapes:
    """Return a two-layer MLP of hidden width 4 C; a gated one expands to twice that."""
    return {
        **_at("fc1", _linear(channels, expanded)),
        **_at("fc2", _linear(4 * channels, channels)),
    }


def _stem(inward: int, outward: int) -> Shapes:
    return {
        "conv1.weight": (inward, inward, 3, 3),
        **_at("norm1", _batch_norm(inward)),
        "conv2.weight": (outward, inward, 3, 3),
        **_at("norm2", _batch_norm(outward)),
        "conv3.weight": (outward, inward, 1, 1),
        **_at("norm3", _batch_norm(outward)),
    }


def _linear(inward: int, outward: int) -> Shapes:
    return {"weight": (outward, inward), "bias": (outward,)}


def _conv(inward: int, outward: int, kernel: int) -> Shapes:
    return {"weight": (outward, inward, kernel, kernel), "bias": (outward,)}


def _depthwise(channels: int) -> Shapes:
    return {"weight": (channels, 1, 3, 3), "bias": (channels,)}


def _norm(channels: int) -> Shapes:
    return {"weight": (channels,), "bias": (channels,)}


def _batch_norm(channels: int) -> Shapes:
    return {**_norm(channels), "running_mean": (channels,), "running_var": (channels,)}


def _at(name: str, part: Shapes) -> Shapes:
    return {f"{name}.{rest}": shape for rest, shape in part.items()}
