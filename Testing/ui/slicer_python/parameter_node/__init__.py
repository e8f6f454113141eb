"""What ``slicer.parameterNodeWrapper`` does, over a real parameter node.

Slicer's own package is not on PyPI. This one is written anew from how that behaves: what it stores
under which name, what it refuses, which widgets it connects to which types and what it does to
them. Missing are lists, tuples, dictionaries, ``Any``, colours, parameter packs other than
FloatRange, and the making of widgets: using them raises NotImplementedError.
"""

from __future__ import annotations

from slicer_python.parameter_node.annotations import Decimals, Default, SingleStep
from slicer_python.parameter_node.ranges import FloatRange
from slicer_python.parameter_node.validators import (
    Choice,
    Exclude,
    IsInstance,
    Maximum,
    Minimum,
    NotNone,
    RangeBounds,
    Validator,
    WithinRange,
)
from slicer_python.parameter_node.wrapper import (
    SlicerParameterNamePropertyName,
    isParameterNodeWrapper,
    parameterNodeWrapper,
)

__all__ = [
    "Choice",
    "Decimals",
    "Default",
    "Exclude",
    "FloatRange",
    "IsInstance",
    "Maximum",
    "Minimum",
    "NotNone",
    "RangeBounds",
    "SingleStep",
    "SlicerParameterNamePropertyName",
    "Validator",
    "WithinRange",
    "isParameterNodeWrapper",
    "parameterNodeWrapper",
]
