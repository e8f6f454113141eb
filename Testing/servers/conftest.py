"""What the tests with real servers share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from real_triton import RunningTriton

HERE = Path(__file__).resolve().parent

# The tests' volumes, cards and models serve here too.
sys.path[:0] = [str(HERE.parent / "core"), str(HERE.parent / "faults")]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest real model, an ONNX file."""
    from tiny_model import write_tiny_model

    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="session")
def repository(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of it, which stays as it is."""
    from department import export_for_server

    return export_for_server(tiny_model, tmp_path_factory.mktemp("repository") / "models")


@pytest.fixture(scope="session")
def triton(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningTriton]:
    """A server of that repository, for tests that leave it alone."""
    from real_triton import start_triton

    triton = start_triton(repository, tmp_path_factory.mktemp("triton"))
    yield triton
    triton.kill()  # faster than an end in order
