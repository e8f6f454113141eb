"""What exported networks are written in: one version of ONNX, and a few operators of its standard.

Exactly what GDLACore.export writes, which a test compares. An operator that is not needed could ask
for any amount of memory, read another file or hold another graph.
"""

from __future__ import annotations

# Of the file format and of the operators: the only ones that there have been files of ours in.
IR_VERSION = 9
OPSET = 20

OPERATORS = frozenset(
    """
    Add Cast Concat Conv ConvTranspose Cos Div Exp Gather Gelu Identity LayerNormalization MatMul
    Min Mul Range ReduceMean ReduceSum Relu Reshape Resize Shape Sigmoid Sin Softmax Split Sqrt
    Squeeze Sub Transpose Unsqueeze
    """.split()
)
