"""How one slice must be bent to look like its neighbour: deformable registration in the plane.

Symmetric-forces demons: Thirion, Medical Image Analysis 2 (1998) 243-260; Vercauteren et al.,
NeuroImage 45 (2009) S61-S72, doi:10.1016/j.neuroimage.2008.10.040. Here as in ITK, from a coarse
grid to a fine one, with a fixed number of steps, so that the same slices give the same result.
"""

from __future__ import annotations

import numpy as np
import SimpleITK

_SMALLEST_COARSE_SIDE = 32  # pixels: below, a coarser grid would show nothing
_LONGEST_SIDE = 256  # pixels: details of a larger slice cost time and move nothing
_STEPS = 20
_SMOOTHNESS = 1.0  # pixels: of the Gaussian that the displacement is smoothed by after each step


def displacement(fixed: np.ndarray, moving: np.ndarray, shrinking: int) -> SimpleITK.Image:
    """Return where in ``moving`` each pixel of ``fixed`` is to be found, as a vector image.

    Both are float32 [h, w], of the same scale, about 0..1. The result has the grid of ``fixed``
    made smaller by the factor ``shrinking``, and vectors (x, y) in pixels of ``fixed``.
    """
    images = [SimpleITK.GetImageFromArray(image) for image in (fixed, moving)]
    coarsest = min(fixed.shape) // (2 * shrinking)
    field = None
    for factor in (2 * shrinking, shrinking) if coarsest >= _SMALLEST_COARSE_SIDE else (shrinking,):
        fixed_one, moving_one = (_shrunk(image, factor) for image in images)
        demons = SimpleITK.FastSymmetricForcesDemonsRegistrationFilter()
        demons.SetNumberOfIterations(_STEPS)
        demons.SetStandardDeviations(_SMOOTHNESS)
        demons.SetSmoothDisplacementField(True)
        demons.SetMaximumRMSError(0.0)  # always all steps
        if field is None:
            field = demons.Execute(fixed_one, moving_one)
        else:
            field = demons.Execute(fixed_one, moving_one, _on_grid_of(fixed_one, field))
    return field


def shrinking_of(shape: tuple[int, int]) -> int:
    """Return the factor by which slices of ``shape`` are made smaller before they are compared."""
    return max(1, -(-max(shape) // _LONGEST_SIDE))


def carried(images: np.ndarray, field: SimpleITK.Image) -> np.ndarray:
    """Return ``images`` [n, h, w] of the moving slice as they lie in the fixed one, float32.

    ``field`` is what ``displacement`` returned; between pixels the values are interpolated
    linearly, beyond the edges those at the edges go on.
    """
    channels = np.ascontiguousarray(np.moveaxis(images, 0, -1), np.float32)
    moving = SimpleITK.GetImageFromArray(channels, isVector=True)
    fine = SimpleITK.Cast(_on_grid_of(moving, field), SimpleITK.sitkVectorFloat64)
    moved = SimpleITK.Resample(
        moving,
        moving,
        SimpleITK.DisplacementFieldTransform(fine),
        SimpleITK.sitkLinear,
        0.0,
        SimpleITK.sitkVectorFloat32,
        True,
    )
    return np.moveaxis(SimpleITK.GetArrayFromImage(moved), -1, 0)


def _shrunk(image: SimpleITK.Image, factor: int) -> SimpleITK.Image:
    if factor == 1:
        return image
    return SimpleITK.Shrink(SimpleITK.DiscreteGaussian(image, (0.5 * factor) ** 2), [factor] * 2)


def _on_grid_of(image: SimpleITK.Image, field: SimpleITK.Image) -> SimpleITK.Image:
    return SimpleITK.Resample(
        field,
        image,
        SimpleITK.Transform(),
        SimpleITK.sitkLinear,
        0.0,
        field.GetPixelID(),
        True,
    )
