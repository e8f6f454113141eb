"""The graph of the decoder's stages, each with the block that the architecture names."""

from __future__ import annotations

from collections.abc import Callable

from GDLACore.export.gdla import gdla_block
from GDLACore.export.graph import Graph
from GDLACore.export.layers import Weights, channels_first, channels_last
from GDLACore.export.mixers import differential_block, linear_block, softmax_block

STAGES = 3

# A block takes the graph, its image [n, h, w, c], the weights, its name among them, and the number
# of its stage counted from the image (1 at stride 4, 3 at stride 16); it returns the mixed image.
Block = Callable[[Graph, str, Weights, str, int], str]

BLOCKS: dict[str, Block] = {
    "gdla": gdla_block,
    "softmax": softmax_block,
    "differential": differential_block,
    "linear": linear_block,
}


def decoder_stage(
    graph: Graph, deep: str, skip: str, weights: Weights, number: int, mixer: str
) -> str:
    """Double ``deep`` [n, h, w, c], add ``skip`` and mix; return [n, 2h, 2w, c'].

    ``number`` counts the stages from the deepest, 0.
    """
    name = f"decoder.{number}"
    up = graph(
        "ConvTranspose",
        channels_first(graph, deep),
        graph.weight(weights[f"{name}.up.weight"]),
        kernel_shape=[3, 3],
        strides=[2, 2],
        pads=[1, 1, 1, 1],
        output_padding=[1, 1],
    )
    x = graph("Add", channels_last(graph, up), skip)
    return BLOCKS[mixer](graph, x, weights, f"{name}.block", STAGES - number)
