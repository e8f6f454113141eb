"""What to install for a processor that the installed ONNX Runtime is built without."""

from __future__ import annotations

import dataclasses

import pytest

from GDLACore.engine import remedy
from GDLACore.engine.accelerators import accelerators
from GDLACore.installation import InstalledBuild, SystemFacts
from GDLACore.installation.gpu import Gpu

RTX_3060 = Gpu("NVIDIA", "NVIDIA GeForce RTX 3060", (581, 42), (8, 6))
RADEON = Gpu("AMD", "AMD Radeon RX 6600")

LINUX = SystemFacts("Linux", (2, 35), "x86_64", (3, 12))
WITH_NVIDIA = dataclasses.replace(LINUX, gpus=(RTX_3060,))
WINDOWS = SystemFacts("Windows", (10, 0, 22631), "x86_64", (3, 12), (RADEON,))
MAC = SystemFacts("macOS", (15, 1), "arm64", (3, 12), (Gpu("Apple", "Apple silicon"),))

CUDA = "Install onnxruntime-gpu[cuda,cudnn]>=1.28 (1.6 GB to download, 2.5 GB on the disk)"
DIRECTML = "Install onnxruntime-directml>=1.23 (33 MB to download, 102 MB on the disk)"
PLAIN = "Install onnxruntime>=1.23 (23 MB to download, 86 MB on the disk)"

ONE_BUILD = (InstalledBuild("onnxruntime", "1.99.0", True),)


@pytest.fixture
def hint(monkeypatch):
    """Return a function that gives the remedy for a device on a computer."""

    def remedy_for(device: str, system: SystemFacts, installed=ONE_BUILD) -> str:
        monkeypatch.setattr(remedy, "detect_system", lambda: system)
        monkeypatch.setattr(remedy, "installed_builds", lambda: installed)
        wanted = next(one for one in accelerators(1) if one.device == device)
        return remedy.remedy(wanted)

    return remedy_for


@pytest.mark.parametrize(
    ("device", "system", "words"),
    [
        ("cuda", WITH_NVIDIA, CUDA),
        ("tensorrt", WITH_NVIDIA, CUDA),  # which has both
        ("directml", WINDOWS, DIRECTML),
        ("coreml", MAC, PLAIN),
    ],
)
def test_what_this_computer_can_use_comes_with_its_size(hint, device, system, words):
    expected = f"{words} in place of the present one, or choose the device auto or cpu."
    assert hint(device, system) == expected


@pytest.mark.parametrize(
    ("device", "system", "package"),
    [
        ("cuda", LINUX, "onnxruntime-gpu, for NVIDIA GPUs"),
        ("cuda", WINDOWS, "onnxruntime-gpu, for NVIDIA GPUs"),
        ("tensorrt", LINUX, "onnxruntime-gpu, for NVIDIA GPUs"),
        ("directml", WITH_NVIDIA, "onnxruntime-directml, for Windows"),
        ("coreml", WITH_NVIDIA, "onnxruntime for macOS"),
    ],
)
def test_what_a_computer_cannot_use_it_is_not_told_to_install(hint, device, system, package):
    text = hint(device, system)
    assert f"in the package {package}" in text and "nothing was found on this computer" in text
    assert "Install" not in text and text.endswith("choose the device auto or cpu.")


@pytest.mark.parametrize("system", [LINUX, WITH_NVIDIA])
def test_of_openvino_whose_package_is_no_choice_of_ours_nothing_is_claimed(hint, system):
    text = hint("openvino", system)
    assert "onnxruntime-openvino, for Intel's processors; install that in place" in text
    assert "nothing was found" not in text


@pytest.mark.parametrize("installed", [ONE_BUILD, ()], ids=["one build", "no build known to pip"])
def test_a_computer_for_which_nothing_is_published_gets_an_answer_too(hint, installed):
    alpine = dataclasses.replace(LINUX, os_version=())
    assert hint("cuda", alpine, installed).endswith("choose the device auto or cpu.")


def test_two_builds_that_overwrote_each_other_come_with_the_repair_and_its_size(hint):
    names = ("onnxruntime", "onnxruntime-gpu")
    both = tuple(InstalledBuild(name, "1.99.0", True) for name in names)
    text = hint("cuda", LINUX, both)
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in text
    assert text.endswith("(28 MB to download, 78 MB on the disk).")
