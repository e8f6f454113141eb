"""The kinds of computers that wheels are collected for, and the builds of ONNX Runtime on them."""

from __future__ import annotations

from dataclasses import dataclass

from GDLACore.errors import EngineError
from GDLACore.installation import SystemFacts
from GDLACore.installation.builds import BUILDS, Build

# As in the extras of our own package.
PACKAGES = {"cpu": "onnxruntime", "directml": "onnxruntime-directml", "gpu": "onnxruntime-gpu"}
FLAVOURS = tuple(PACKAGES)

# What makes onnxruntime-gpu install CUDA and cuDNN along.
_EXTRAS = {"onnxruntime-gpu": "[cuda,cudnn]"}


@dataclass(frozen=True)
class Platform:
    """A kind of computer that 3D Slicer is published for.

    ``oldest`` is the oldest version of the system (Linux: of its C library) that it stands for;
    ``tags`` are what pip calls it.
    """

    name: str
    title: str
    os: str
    machine: str
    oldest: tuple[int, ...]
    tags: tuple[str, ...]

    def system(self, python: tuple[int, int]) -> SystemFacts:
        """Return the oldest such computer, with a Python of that version."""
        return SystemFacts(self.os, self.oldest, self.machine, python)

    def build(self, flavour: str, python: tuple[int, int]) -> Build:
        """Return the build of ONNX Runtime for ``flavour``; EngineError if there is none."""
        system = self.system(python)
        for build in BUILDS:
            first, last = build.pythons
            if (
                (build.package, build.os, build.machine)
                == (PACKAGES[flavour], self.os, self.machine)
                and first <= python <= last
                and build.oldest_os <= system.os_version
            ):
                return build
        raise EngineError(
            f"There is no {PACKAGES[flavour]} for {self.title} and Python {dotted(python)}.",
            "Choose another build, such as cpu, or leave out this kind of computer.",
        )


_LINUX_TAGS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")

PLATFORMS = {
    platform.name: platform
    for platform in (
        Platform("windows", "Windows", "Windows", "x86_64", (10, 0, 18362), ("win_amd64",)),
        Platform(
            "linux",
            "Linux",
            "Linux",
            "x86_64",
            (2, 28),
            tuple(f"{tag}_x86_64" for tag in _LINUX_TAGS),
        ),
        Platform(
            "macos-arm64", "macOS on Apple silicon", "macOS", "arm64", (14,), ("macosx_14_0_arm64",)
        ),
        Platform(
            "macos-x86_64", "macOS on Intel", "macOS", "x86_64", (13,), ("macosx_13_0_x86_64",)
        ),
    )
}


def install_name(build: Build) -> str:
    """Return what pip is to install for ``build``, without a version."""
    return build.package + _EXTRAS.get(build.package, "")


def requirement(build: Build) -> str:
    """Return what pip is asked for to get ``build`` with all that it needs."""
    return build.requirement.replace(build.package, install_name(build), 1)


def dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
