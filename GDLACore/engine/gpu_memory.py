"""How much memory an NVIDIA GPU has left, asked of its driver."""

from __future__ import annotations

import ctypes
import sys

_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_FIRST_GPU = 0


def free_gpu_memory() -> int | None:
    """Return the free bytes of the GPU on which ONNX Runtime runs CUDA; None if it cannot be told.

    The driver numbers GPUs as CUDA does, whatever CUDA_VISIBLE_DEVICES says; nvidia-smi does not.
    Memory that ONNX Runtime's own arena holds in reserve counts as taken.
    """
    try:
        driver = ctypes.CDLL(_DRIVER)
        return _free_memory(driver)
    except (OSError, AttributeError):  # no driver; one of another age
        return None


def _free_memory(driver: ctypes.CDLL) -> int | None:
    device, context = ctypes.c_int(0), ctypes.c_void_p()
    free, total = ctypes.c_size_t(0), ctypes.c_size_t(0)
    if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), _FIRST_GPU):
        return None
    # The context in which all of the process's CUDA lives, ONNX Runtime's included.
    if driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device):
        return None
    try:
        if driver.cuCtxPushCurrent_v2(context):
            return None
        failed = driver.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
        driver.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))
        return None if failed else free.value
    finally:
        driver.cuDevicePrimaryCtxRelease_v2(device)
