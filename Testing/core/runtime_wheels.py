"""Wheels of an ONNX Runtime that does nothing, and of CUDA's libraries, which pip can install."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence

LIBRARY = "onnxruntime/capi/onnxruntime_pybind11_state.so"

# All of it that is asked for when it is tried out.
WORKING = """\
__version__ = "{version}"


class InferenceSession:
    pass


def get_available_providers():
    return ["CPUExecutionProvider"]
"""


def wheel(
    name: str,
    version: str,
    files: Mapping[str, str | bytes],
    needs: Sequence[str] = (),
    tag: str = "py3-none-any",
) -> tuple[str, bytes]:
    """Return the file name and the content of a wheel; ``needs`` are its requirements."""
    stem = f"{name.replace('-', '_')}-{version}"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    metadata += [f"Provides-Extra: {extra}" for extra in ("cuda", "cudnn")]
    metadata += [f"Requires-Dist: {need}" for need in needs]
    info = {
        "METADATA": "\n".join([*metadata, ""]),
        "WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n",
        "entry_points.txt": f"[console_scripts]\n{name}_test = json:dumps\n",
    }
    contents = {
        path: content.encode() if isinstance(content, str) else content
        for path, content in (
            *files.items(),
            *((f"{stem}.dist-info/{file}", text) for file, text in info.items()),
        )
    }
    record = "".join(f"{path},{_digest(data)},{len(data)}\n" for path, data in contents.items())
    contents[f"{stem}.dist-info/RECORD"] = f"{record}{stem}.dist-info/RECORD,,\n".encode()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for path, data in contents.items():
            file.writestr(path, data)
    return f"{stem}-{tag}.whl", archive.getvalue()


def runtime_wheel(
    version: str = "1.32.0",
    *,
    name: str = "onnxruntime",
    program: str = WORKING,
    tag: str = "py3-none-any",
    library: bytes = b"\x7fELF, as it were",
    needs: Sequence[str] = (),
) -> tuple[str, bytes]:
    """Return a wheel of ONNX Runtime whose ``__init__.py`` is ``program``.

    It asks for what the real one asks for, and for ``needs``.
    """
    files = {
        "onnxruntime/__init__.py": program.replace("{version}", version),
        LIBRARY: library,
    }
    asked = ("flatbuffers", "numpy>=1.21.6", "packaging", "protobuf>=4.25.8", *needs)
    return wheel(name, version, files, asked, tag)


def cuda_wheels() -> dict[str, bytes]:
    """Return onnxruntime-gpu and what it needs of CUDA, one part of which needs another."""
    needs = ('nvidia-cufft~=12.0; extra == "cuda"', 'nvidia-cudnn-cu13~=9.0; extra == "cudnn"')
    return dict(
        (
            runtime_wheel("1.31.1", name="onnxruntime-gpu", needs=needs),
            wheel("nvidia-cufft", "12.5.0", {"nvidia/cufft/libcufft.so.12": b"cufft"}),
            wheel(
                "nvidia-cudnn-cu13",
                "9.28.1",
                {"nvidia/cudnn/libcudnn.so.9": b"cudnn"},
                ["nvidia-cublas"],
            ),
            wheel("nvidia-cublas", "13.10.0", {"nvidia/cublas/libcublas.so.13": b"cublas"}),
        )
    )


def _digest(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
    return f"sha256={digest.rstrip(b'=').decode()}"
