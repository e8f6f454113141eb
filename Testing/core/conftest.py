from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from command_line import SHAPE


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
