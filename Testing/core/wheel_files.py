"""Wheels that hold nothing but what they need."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

WINDOWS, LINUX, MAC = "win_amd64", "manylinux_2_28_x86_64", "macosx_14_0_arm64"


def write_wheel(
    folder: Path,
    name: str,
    version: str = "1.32.0",
    tags: str = "py3-none-any",
    needs: Sequence[str] = (),
) -> Path:
    """Write a wheel that pip can install; ``needs`` are its requirements."""
    stem = f"{name.replace('-', '_')}-{version}"
    path = folder / f"{stem}-{tags}.whl"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    metadata += [f"Requires-Dist: {need}" for need in needs]
    python, abi, platforms = tags.split("-")
    marks = [f"Tag: {python}-{abi}-{platform}" for platform in platforms.split(".")]
    files = {
        "METADATA": "\n".join([*metadata, "", "About it."]),
        "WHEEL": "\n".join(["Wheel-Version: 1.0\nRoot-Is-Purelib: true", *marks, ""]),
        "RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(f"{stem}.dist-info/{file}", text)
    return path


def write_engine(folder: Path, platform: str = WINDOWS, python: str = "cp312") -> Path:
    """Write ONNX Runtime for one kind of computer, and all that it needs but numpy."""
    folder.mkdir(exist_ok=True)
    write_wheel(folder, "flatbuffers", "25.12.19", "py2.py3-none-any")
    write_wheel(folder, "protobuf", "7.36.2", f"cp310-abi3-{platform}")
    needs = ["flatbuffers", "numpy>=1.21.6", "protobuf>=4.25.8", 'sympy; extra == "symbolic"']
    return write_wheel(folder, "onnxruntime", "1.32.0", f"{python}-{python}-{platform}", needs)
