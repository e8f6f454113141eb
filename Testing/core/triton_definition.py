"""Triton's own definition of a model's configuration, from the wheel of its client."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest


def parsed(text: str):
    """Return the configuration as Triton's own definition of it reads it."""
    tritonclient = pytest.importorskip("tritonclient")
    text_format = pytest.importorskip("google.protobuf.text_format")
    # Not imported from its package, which would ask for gRPC.
    path = Path(tritonclient.__path__[0], "grpc", "model_config_pb2.py")
    spec = importlib.util.spec_from_file_location("model_config_pb2", path)
    definition = sys.modules.get(spec.name)
    if definition is None:  # it may be defined once only
        definition = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(definition)
    return text_format.Parse(text, definition.ModelConfig())
