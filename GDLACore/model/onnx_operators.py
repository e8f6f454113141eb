"""The operators that an exported segmentation network may use, by domain.

Left out on purpose: whatever runs or holds another graph (If, Loop, Scan), reads another file
(EPContext), or draws random numbers, and all operators on sequences, texts and maps.
"""

from __future__ import annotations

CONTRIB_DOMAIN = "com.microsoft"  # what ONNX Runtime adds to the standard

_ELEMENTWISE = """
    Abs Add And Cast CastLike Ceil Celu Clip Cos Div Elu Equal Erf Exp Floor Gelu Greater
    GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log Max
    Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu Sigmoid Sign Sin Softplus
    Softsign Sqrt Sub Sum Tanh ThresholdedRelu Where Xor
"""
_PRODUCTS = "Conv ConvTranspose Einsum Gemm MatMul"
_POOLING = "AveragePool GlobalAveragePool GlobalMaxPool MaxPool Resize"
_REDUCTIONS = """
    ArgMax ArgMin CumSum ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean
    ReduceMin ReduceProd ReduceSum ReduceSumSquare
"""
_NORMALISATIONS = """
    BatchNormalization Dropout GroupNormalization InstanceNormalization LayerNormalization
    LogSoftmax LpNormalization MeanVarianceNormalization SimplifiedLayerNormalization Softmax
"""
_SHAPES = """
    Concat Constant ConstantOfShape DepthToSpace Expand Flatten Gather GatherElements GatherND Pad
    Range Reshape Shape Size Slice SpaceToDepth Split Squeeze Tile Transpose Unsqueeze
"""
_INTEGERS = """
    ConvInteger DequantizeLinear DynamicQuantizeLinear MatMulInteger QLinearConv QLinearMatMul
    QuantizeLinear
"""
_FUSED = """
    Attention BiasAdd BiasGelu BiasSoftmax BiasSplitGelu FastGelu FusedConv FusedGemm FusedMatMul
    FusedMatMulActivation Gelu GroupNorm MatMulNBits MultiHeadAttention NhwcConv NhwcFusedConv
    NhwcMaxPool QuickGelu SkipGroupNorm SkipLayerNormalization SkipSimplifiedLayerNormalization
"""
_FUSED_INTEGERS = """
    DequantizeLinear DynamicQuantizeMatMul MatMulIntegerToFloat QAttention QGemm QLinearAdd
    QLinearAveragePool QLinearConcat QLinearConv QLinearGlobalAveragePool QLinearLeakyRelu
    QLinearMul QLinearReduceMean QLinearSigmoid QLinearSoftmax QLinearWhere QuantizeLinear
"""

_STANDARD = frozenset(
    word
    for group in (
        _ELEMENTWISE,
        _PRODUCTS,
        _POOLING,
        _REDUCTIONS,
        _NORMALISATIONS,
        _SHAPES,
        _INTEGERS,
    )
    for word in group.split()
)

OPERATORS = {
    "": _STANDARD,
    "ai.onnx": _STANDARD,  # the same domain, spelled out
    CONTRIB_DOMAIN: frozenset([*_FUSED.split(), *_FUSED_INTEGERS.split()]),
}
