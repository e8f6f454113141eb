"""From the weight names of the authors' code to ours.

Two vocabularies occur: the whole network (``backbone.…``, ``de1.…``) as in the published ``.ckpt``
files, and the bare PVTv2 classifier (``patch_embed1.…`` or timm's ``stages.…``) as in the ImageNet
encoder files.
"""

from __future__ import annotations

import re

_ENCODER = (
    (r"patch_embed1\.(.+)", r"patch_embed.\1"),
    (r"patch_embed([2-4])\.(.+)", lambda m: f"stages.{int(m[1]) - 1}.downsample.{m[2]}"),
    (
        r"block([1-4])\.(\d+)\.(.+)",
        lambda m: (
            f"stages.{int(m[1]) - 1}.blocks.{m[2]}."
            + m[3].replace("mlp.dwconv.dwconv.", "mlp.dwconv.")
        ),
    ),
    (r"norm([1-4])\.(.+)", lambda m: f"stages.{int(m[1]) - 1}.norm.{m[2]}"),
    (r"stages_([0-3])\.(.+)", r"stages.\1.\2"),  # timm's features_only networks
)

# The authors call the block's full 3 x 3 convolution "dwc"; the depthwise ones keep their meaning.
_BLOCK = (
    (r"dwc\.(.+)", r"conv.\1"),
    (r"attn\.lambda_scale_main", "attn.lambda_main"),
    (r"attn\.lambda_scale_aux", "attn.lambda_local"),
    (r"attn\.(?:ln|subln)\.(.+)", r"attn.norm.\1"),
    (r"attn\.dwc\.(.+)", r"attn.local.0.\1"),
    (r"attn\.pwc\.(.+)", r"attn.local.1.\1"),
    (r"mlp\.pwc1\.(.+)", r"mlp.expand.\1"),
    (r"mlp\.dwc\.(.+)", r"mlp.depthwise.\1"),
    (r"mlp\.pwc2\.(.+)", r"mlp.project.\1"),
)

_NETWORK = (
    (r"backbone\.(.+)", lambda m: f"encoder.{encoder_name(m[1])}"),
    (r"up([1-3])\.up\.(.+)", lambda m: f"decoder.{int(m[1]) - 1}.up.{m[2]}"),
    (r"de([1-3])\.(.+)", lambda m: f"decoder.{int(m[1]) - 1}.block.{_rename(m[2], _BLOCK)}"),
    (r"resblk\.(.+)", r"stem.\1"),
    (r"head1\.(.+)", r"head.\1"),
    (r"head([2-4])\.(.+)", lambda m: f"auxiliary_heads.{int(m[1]) - 2}.{m[2]}"),
)


def network_name(official: str) -> str:
    """Return our name of a weight of the authors' network; an unknown name comes back unchanged."""
    return _rename(official, _NETWORK)


def encoder_name(official: str) -> str:
    """Return timm's name of a weight of the PVTv2 encoder; timm's own names come back unchanged."""
    return _rename(official, _ENCODER)


def _rename(name: str, rules: tuple) -> str:
    for pattern, replacement in rules:
        if match := re.fullmatch(pattern, name):
            return match.expand(replacement) if isinstance(replacement, str) else replacement(match)
    return name
