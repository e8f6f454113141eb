"""What the tests of the extension share: its installation."""

from __future__ import annotations

import subprocess

import pytest
from extension import Extension, cmake_command, install


@pytest.fixture(scope="session")
def cmake() -> str:
    """The command of CMake."""
    return cmake_command()


@pytest.fixture(scope="session")
def extension(cmake: str, tmp_path_factory: pytest.TempPathFactory) -> Extension:
    """The extension, installed as 3D Slicer would, but by a stand-in for its build system."""
    try:
        return install(cmake, tmp_path_factory.mktemp("extension"))
    except subprocess.CalledProcessError as error:
        pytest.fail(f"the extension cannot be configured or installed:\n{error.stderr}")
