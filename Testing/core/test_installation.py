"""Which ONNX Runtime for which computer: the fastest that works there, its price stated."""

from __future__ import annotations

import dataclasses
import itertools
import re

import pytest

from GDLACore.errors import EngineError
from GDLACore.installation import SystemFacts, detect_system, runtime_choice, runtime_choices
from GDLACore.installation.builds import BUILDS, CUDA_LIBRARIES, Build
from GDLACore.installation.gpu import Gpu

NEW_DRIVER, OLD_DRIVER, OLDEST_DRIVER = (581, 42), (551, 86), (470, 256, 2)

RTX_3060 = Gpu("NVIDIA", "NVIDIA GeForce RTX 3060", NEW_DRIVER, (8, 6))
GTX_1080 = Gpu("NVIDIA", "NVIDIA GeForce GTX 1080", NEW_DRIVER, (6, 1))
RADEON = Gpu("AMD", "AMD Radeon RX 6600")
IRIS = Gpu("Intel", "Intel(R) Iris(R) Xe Graphics")

WINDOWS = SystemFacts("Windows", (10, 0, 22631), "x86_64", (3, 12))
LINUX = SystemFacts("Linux", (2, 35), "x86_64", (3, 12))
WSL = LINUX  # its GPUs are seen by nvidia-smi alone
MAC = SystemFacts("macOS", (15, 1), "arm64", (3, 12), (Gpu("Apple", "Apple silicon"),))
INTEL_MAC = SystemFacts("macOS", (13, 6), "x86_64", (3, 12))

CUDA_13 = "onnxruntime-gpu[cuda,cudnn]>=1.28"
CUDA_12 = "onnxruntime-gpu[cuda,cudnn]>=1.23,<1.27"
DIRECTML = "onnxruntime-directml>=1.23"
PLAIN = "onnxruntime>=1.23"
OLD_CUDNN = "nvidia-cudnn-cu12<9.11"


def with_gpus(system: SystemFacts, *gpus: Gpu, **facts: object) -> SystemFacts:
    return dataclasses.replace(system, gpus=gpus, **facts)


def driven(gpu: Gpu, driver: tuple[int, ...]) -> Gpu:
    return dataclasses.replace(gpu, driver=driver)


CHOICES = {
    "Windows, NVIDIA": (with_gpus(WINDOWS, RTX_3060), [(CUDA_13,), (DIRECTML,), (PLAIN,)]),
    "Windows, NVIDIA and Intel": (
        with_gpus(WINDOWS, RTX_3060, IRIS),
        [(CUDA_13,), (DIRECTML,), (PLAIN,)],
    ),
    "Windows, NVIDIA, last year's driver": (
        with_gpus(WINDOWS, driven(RTX_3060, OLD_DRIVER)),
        [(CUDA_12,), (DIRECTML,), (PLAIN,)],
    ),
    "Windows, NVIDIA, driver of 2021": (
        with_gpus(WINDOWS, driven(RTX_3060, (472, 12))),
        [(DIRECTML,), (PLAIN,)],
    ),
    "Windows, NVIDIA that does not answer": (
        with_gpus(WINDOWS, driven(RTX_3060, ())),
        [(DIRECTML,), (PLAIN,)],
    ),
    "Windows, NVIDIA of 2016": (
        with_gpus(WINDOWS, GTX_1080),
        [(CUDA_12, OLD_CUDNN), (DIRECTML,), (PLAIN,)],
    ),
    "Windows, AMD": (with_gpus(WINDOWS, RADEON), [(DIRECTML,), (PLAIN,)]),
    "Windows, Intel": (with_gpus(WINDOWS, IRIS), [(DIRECTML,), (PLAIN,)]),
    "Windows, Intel, Python 3.10": (
        with_gpus(WINDOWS, IRIS, python=(3, 10)),
        [(DIRECTML,), (PLAIN,)],
    ),
    "Windows of 2018, Intel": (with_gpus(WINDOWS, IRIS, os_version=(10, 0, 17763)), [(PLAIN,)]),
    "Windows, virtual screen": (with_gpus(WINDOWS, Gpu("other", "VMware SVGA 3D")), [(PLAIN,)]),
    "Windows, no GPU": (WINDOWS, [(PLAIN,)]),
    "Windows for Arm": (
        with_gpus(WINDOWS, Gpu("Qualcomm", "Adreno"), machine="arm64"),
        [(PLAIN,)],
    ),
    "Linux, NVIDIA": (with_gpus(LINUX, RTX_3060), [(CUDA_13,), (PLAIN,)]),
    "Linux, NVIDIA, Python 3.10": (
        with_gpus(LINUX, RTX_3060, python=(3, 10)),
        [(CUDA_12,), (PLAIN,)],
    ),
    "Linux, NVIDIA, driver too old": (
        with_gpus(LINUX, driven(RTX_3060, OLDEST_DRIVER)),
        [(PLAIN,)],
    ),
    "Linux, NVIDIA too old": (
        with_gpus(LINUX, Gpu("NVIDIA", "Tesla M40", NEW_DRIVER, (5, 2))),
        [(PLAIN,)],
    ),
    "Linux, NVIDIA V100": (
        with_gpus(LINUX, Gpu("NVIDIA", "Tesla V100", NEW_DRIVER, (7, 0))),
        [(CUDA_12, OLD_CUDNN), (PLAIN,)],
    ),
    "Linux, NVIDIA of the future": (
        with_gpus(LINUX, Gpu("NVIDIA", "RTX 9090", (700, 1), (15, 0))),
        [(CUDA_12,), (PLAIN,)],
    ),
    "Linux, NVIDIA of untold generation": (
        with_gpus(LINUX, dataclasses.replace(RTX_3060, capability=None)),
        [(CUDA_13,), (PLAIN,)],
    ),
    "Linux, NVIDIA for Arm": (with_gpus(LINUX, RTX_3060, machine="arm64"), [(PLAIN,)]),
    "Linux, AMD": (with_gpus(LINUX, RADEON), [(PLAIN,)]),
    "Linux, no GPU": (LINUX, [(PLAIN,)]),
    "Linux with PyTorch for CUDA 13": (
        with_gpus(LINUX, RTX_3060, cuda=13),
        [("onnxruntime-gpu>=1.28",), (PLAIN,)],
    ),
    "Linux with PyTorch for CUDA 12": (
        with_gpus(LINUX, RTX_3060, cuda=12),
        [("onnxruntime-gpu>=1.23,<1.27",), (PLAIN,)],
    ),
    "Linux with PyTorch but no GPU": (with_gpus(LINUX, cuda=13), [(PLAIN,)]),
    "WSL, NVIDIA": (with_gpus(WSL, RTX_3060), [(CUDA_13,), (PLAIN,)]),
    "WSL, no NVIDIA": (WSL, [(PLAIN,)]),
    "Mac": (MAC, [(PLAIN,)]),
    "Mac, Python 3.10": (dataclasses.replace(MAC, python=(3, 10)), [(PLAIN,)]),
    "Intel Mac": (INTEL_MAC, [(PLAIN,)]),
}


@pytest.mark.parametrize("name", CHOICES)
def test_every_computer_gets_the_builds_that_work_on_it_fastest_first(name):
    system, expected = CHOICES[name]
    choices = runtime_choices(system)
    assert [choice.requirements for choice in choices] == expected
    assert runtime_choice(system) == choices[0]
    for choice in choices:
        assert re.fullmatch(r"[A-Z].*\.", choice.reason) and "\n" not in choice.reason
        assert choice.requirements[0].startswith(choice.package)
        assert 0 < choice.download_mb < choice.installed_mb


@pytest.mark.parametrize(
    "system",
    [
        dataclasses.replace(LINUX, python=(3, 9)),
        dataclasses.replace(LINUX, python=(3, 14)),
        dataclasses.replace(LINUX, os_version=(2, 17)),
        dataclasses.replace(LINUX, os_version=()),  # Alpine
        dataclasses.replace(MAC, os_version=(12, 7)),
        dataclasses.replace(WINDOWS, machine="x86"),
        dataclasses.replace(LINUX, machine="ppc64le"),
        dataclasses.replace(LINUX, os="FreeBSD"),
    ],
)
def test_a_computer_without_any_build_is_told_so(system):
    with pytest.raises(EngineError, match="There is no ONNX Runtime for") as caught:
        runtime_choices(system)
    assert system.machine in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "gpu, problem, words",
    [
        (driven(RTX_3060, OLDEST_DRIVER), "", "driver: 525.60, where 470.256 is installed."),
        (driven(RTX_3060, ()), "", "driver: it is not installed."),
        (
            driven(RTX_3060, ()),
            "the NVIDIA driver does not answer",
            "driver: the NVIDIA driver does not answer.",
        ),
        (Gpu("NVIDIA", "Tesla M40", NEW_DRIVER, (5, 2)), "", "for this kind of GPU and driver."),
    ],
)
def test_an_nvidia_gpu_left_unused_is_explained(gpu, problem, words):
    choice = runtime_choice(with_gpus(LINUX, gpu, gpu_problem=problem))
    assert choice.package == "onnxruntime"
    assert gpu.name in choice.reason
    assert choice.reason.endswith(words)


def test_a_gpu_that_could_not_be_looked_for_is_mentioned():
    choice = runtime_choice(with_gpus(LINUX, gpu_problem="the NVIDIA driver does not run"))
    assert choice.reason == "No GPU was found: the NVIDIA driver does not run."


def test_the_small_choice_costs_megabytes_and_the_large_one_says_gigabytes():
    large, small = runtime_choices(with_gpus(LINUX, RTX_3060))
    assert large.cost == "1.6 GB to download, 2.5 GB on the disk"
    assert small.cost == "28 MB to download, 78 MB on the disk"


def test_libraries_that_are_there_already_are_not_paid_for():
    there = runtime_choice(with_gpus(LINUX, RTX_3060, cuda=13))
    assert there.download_mb < 300
    assert "installed already" in there.reason


@pytest.mark.parametrize(
    "chips, translatable, capability, runs",
    [
        (((8, 0),), (), (8, 0), True),
        (((8, 0),), (), (8, 9), True),
        (((8, 6),), (), (8, 0), False),
        (((8, 0),), (), (9, 0), False),
        (((8, 0),), (9, 0), (12, 0), True),
        (((8, 0),), (9, 0), (8, 9), True),
        (((8, 0),), (9, 0), (7, 5), False),
    ],
)
def test_code_runs_on_its_own_family_of_gpus_and_is_translated_for_later_ones(
    chips, translatable, capability, runs
):
    build = dataclasses.replace(BUILDS[0], chips=chips, translatable=translatable)
    assert build.runs_on(capability) == runs


def same_place(first: Build, second: Build) -> bool:
    (low, high), (other_low, other_high) = first.pythons, second.pythons
    return (
        (first.package, first.cuda, first.os, first.machine)
        == (second.package, second.cuda, second.os, second.machine)
        and low <= other_high
        and other_low <= high
    )


def test_the_table_has_one_row_for_each_place():
    doubled = [pair for pair in itertools.combinations(BUILDS, 2) if same_place(*pair)]
    assert doubled == []


def test_the_table_is_complete_and_its_versions_fit_their_requirements():
    from packaging.requirements import Requirement

    priced = {(entry.cuda, entry.os) for entry in CUDA_LIBRARIES}
    for build in BUILDS:
        requirement = Requirement(build.requirement)
        assert requirement.name == build.package
        assert requirement.specifier.contains(build.version)
        assert (build.cuda > 0) == bool(build.chips) == (build.package == "onnxruntime-gpu")
        assert not build.cuda or (build.cuda, build.os) in priced


def test_this_computer_is_recognised():
    system = detect_system()
    assert system.os in ("Linux", "macOS", "Windows")
    assert system.machine in ("x86_64", "arm64")
    assert len(system.os_version) >= 2
    assert runtime_choices(system)[-1].package == "onnxruntime"
