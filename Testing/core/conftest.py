"""What all tests of the core share.

Running a model needs neither PyTorch nor what only some tests compare with. A test, or a module
above its imports, that does need such a package says ``pytest.importorskip("torch")`` and is
skipped where it is not installed: ``make test-runtime`` runs the others. Nothing else skips them,
so that GDLACore importing what it should do without is an error there.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from command_line import SHAPE
from ctrl_c import listen_to_ctrl_c

# Tests that import ONNX Runtime themselves would have it report to its makers, from threads of its
# own and through the proxies of other tests.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

listen_to_ctrl_c()


@pytest.fixture(autouse=True)
def logger() -> Iterator[None]:
    """Undo what the ``gdla`` command does to our logger, which it expects to keep to itself.

    Before a test as well: a fixture of a module may have run the command.
    """
    logger = logging.getLogger("GDLACore")
    logger.handlers, logger.propagate = [], True
    yield
    logger.handlers, logger.propagate = [], True


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    """A CT of six slices with a bright block of 8 voxels in slices 1 and 2."""
    array = np.full(SHAPE, -1000, np.int16)
    array[1:3, 2:4, 3:5] = 200
    path = tmp_path / "ct.nii.gz"
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.75, 1.5, 4.0))
    sitk.WriteImage(image, str(path))
    return path
