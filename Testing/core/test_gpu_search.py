"""Looking for GPUs: with an nvidia-smi that misbehaves, DirectX's list, and the slots of a PC."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from importlib import metadata
from pathlib import Path

import pytest

from GDLACore.installation import cuda_packages, nvidia, system
from GDLACore.installation.adapters import AdapterDescription, directx_adapters, listed_adapters
from GDLACore.installation.cuda_packages import installed_cuda
from GDLACore.installation.gpu import Gpu, GpuSearch
from GDLACore.installation.nvidia import nvidia_gpus
from GDLACore.installation.system import detect_system, pci_gpus

needs_shell = pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that puts a shell script called nvidia-smi on the search path."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setattr(nvidia, "_PLACES", ())
    monkeypatch.setattr(nvidia_gpus, "__defaults__", (60.0,))

    def install(script: str, folder: Path = tmp_path) -> Path:
        path = folder / "nvidia-smi"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return install


@needs_shell
def test_one_gpu_is_read_with_its_driver_and_generation(nvidia_smi, tmp_path):
    nvidia_smi(f'echo "$@" > "{tmp_path}/asked"; echo "NVIDIA GeForce RTX 3060, 580.65.06, 8.6"')
    assert nvidia_gpus() == GpuSearch(
        (Gpu("NVIDIA", "NVIDIA GeForce RTX 3060", (580, 65, 6), (8, 6)),)
    )
    asked = (tmp_path / "asked").read_text()
    assert asked == "--query-gpu=name,driver_version,compute_cap --format=csv,noheader\n"


@needs_shell
def test_two_gpus_are_two(nvidia_smi):
    nvidia_smi('printf "Tesla V100-SXM2-16GB, 535.1, 7.0\\r\\nQuadro P400, 535.1, 6.1\\r\\n"')
    assert [(gpu.name, gpu.capability) for gpu in nvidia_gpus().gpus] == [
        ("Tesla V100-SXM2-16GB", (7, 0)),
        ("Quadro P400", (6, 1)),
    ]


@needs_shell
def test_a_driver_too_old_for_the_question_is_asked_less(nvidia_smi):
    nvidia_smi(
        'case "$1" in *compute_cap*) '
        'echo "Field \\"compute_cap\\" is not a valid field to query."; exit 2;; esac; '
        'echo "GeForce GTX 980, 470.256.02"'
    )
    assert nvidia_gpus().gpus == (Gpu("NVIDIA", "GeForce GTX 980", (470, 256, 2)),)


@needs_shell
@pytest.mark.parametrize(
    "script, problem",
    [
        (
            "echo \"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
            'Make sure that the latest NVIDIA driver is installed and running."; exit 9',
            "the NVIDIA driver does not run",
        ),
        (
            'echo "Failed to initialize NVML: Driver/library version mismatch" >&2; exit 18',
            "the NVIDIA driver was updated, and the computer not restarted since",
        ),
        ('echo "No devices were found"; exit 6', "the NVIDIA driver finds no GPU"),
        ('echo "No devices were found"', "the NVIDIA driver finds no GPU"),
        ("exit 0", "nvidia-smi gives no sensible answer"),
        ("kill -SEGV $$", "nvidia-smi gives no sensible answer"),
        ('echo "<html>, hello, world</html>"', "nvidia-smi gives no sensible answer"),
        ('echo "GPU, [N/A], [N/A]"', "nvidia-smi gives no sensible answer"),
        ('printf "\\377\\376\\000,,,\\n\\"unclosed"', "nvidia-smi gives no sensible answer"),
    ],
)
def test_a_broken_driver_is_a_problem_in_words_and_no_gpu(nvidia_smi, script, problem):
    nvidia_smi(script)
    assert nvidia_gpus() == GpuSearch((), problem)


@needs_shell
def test_a_generation_that_is_not_told_is_no_reason_to_lose_the_gpu(nvidia_smi):
    nvidia_smi('echo "GRID A100, 580.65.06, [N/A]"')
    assert nvidia_gpus().gpus == (Gpu("NVIDIA", "GRID A100", (580, 65, 6)),)


@needs_shell
def test_a_driver_that_hangs_is_not_waited_for_nor_its_children(nvidia_smi, tmp_path):
    # The sleeper inherits what nvidia-smi prints to, and outlives it.
    nvidia_smi(f'sleep 60 & echo $! > "{tmp_path}/child"; sleep 60')
    assert nvidia_gpus(patience=0.3) == GpuSearch((), "the NVIDIA driver does not answer")
    child = tmp_path / "child"
    if child.exists() and child.read_text():  # a busy computer may not have come so far
        os.kill(int(child.read_text()), signal.SIGKILL)


@needs_shell
def test_a_program_that_cannot_be_run_does_not_answer(nvidia_smi):
    nvidia_smi("").write_bytes(b"\x7fELF of another kind of processor")
    assert nvidia_gpus() == GpuSearch((), "the NVIDIA driver does not answer")


@needs_shell
def test_nvidia_smi_is_found_where_the_search_path_does_not_lead(nvidia_smi, monkeypatch, tmp_path):
    elsewhere = tmp_path / "wsl"
    elsewhere.mkdir()
    path = nvidia_smi('echo "NVIDIA RTX A2000, 581.42, 8.6"', elsewhere)
    assert nvidia_gpus() == GpuSearch()
    monkeypatch.setattr(nvidia, "_PLACES", (str(tmp_path / "none"), str(path)))
    assert len(nvidia_gpus().gpus) == 1


@needs_shell
def test_an_nvidia_gpu_in_a_slot_and_with_a_driver_is_one_gpu(nvidia_smi, monkeypatch):
    slots = (Gpu("Intel", "Intel GPU"), Gpu("NVIDIA", "NVIDIA GPU"))
    monkeypatch.setattr(system, "pci_gpus", lambda: slots)
    monkeypatch.setattr(system.platform, "system", lambda: "Linux")
    assert detect_system().gpus == slots
    nvidia_smi('echo "NVIDIA RTX A2000, 580.65, 8.6"')
    assert [gpu.name for gpu in detect_system().gpus] == ["NVIDIA RTX A2000", "Intel GPU"]
    nvidia_smi(
        "echo \"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA "
        'driver."; exit 9'
    )
    found = detect_system()
    assert (found.gpus, found.gpu_problem) == (slots, "the NVIDIA driver does not run")


def test_gpus_are_told_from_other_things_in_the_slots(tmp_path: Path):
    slots = {
        "0000:00:02.0": ("0x030000", "0x8086"),
        "0000:01:00.0": ("0x030200", "0x10de"),
        "0000:01:00.1": ("0x040300", "0x10de"),  # its sound
        "0000:02:00.0": ("0x020000", "0x8086"),  # a network card
        "0000:03:00.0": ("0x030000", "0x1234"),  # an emulated screen
    }
    for slot, (kind, vendor) in slots.items():
        (tmp_path / slot).mkdir()
        (tmp_path / slot / "class").write_text(f"{kind}\n")
        (tmp_path / slot / "vendor").write_text(f"{vendor}\n")
    (tmp_path / "0000:04:00.0").mkdir()  # without the files
    assert pci_gpus(tmp_path) == (Gpu("Intel", "Intel GPU"), Gpu("NVIDIA", "NVIDIA GPU"))
    assert pci_gpus(tmp_path / "none") == ()


class FakeDirectX:
    """COM objects in memory as DirectX lays them out: a pointer to a table of methods."""

    def __init__(self, adapters: list[tuple[str, int, int]]) -> None:
        self.released: list[str] = []
        self._kept: list[object] = []
        instances = [self._adapter(*adapter) for adapter in adapters]

        def enumerate_adapters(this: int, index: int, place) -> int:
            if index >= len(instances):
                return -2005270526  # DXGI_ERROR_NOT_FOUND
            place[0] = instances[index]
            return 0

        places = ctypes.POINTER(ctypes.c_void_p)
        self.factory = ctypes.c_void_p(
            self._instance({12: (enumerate_adapters, [ctypes.c_uint32, places])})
        )

    def _adapter(self, name: str, vendor: int, flags: int) -> int:
        def describe(this: int, place) -> int:
            units = (name.encode("utf-16-le") + bytes(2))[:256]
            place[0].description[: len(units) // 2] = memoryview(units).cast("H").tolist()
            place[0].vendor, place[0].flags = vendor, flags
            return 0

        def release(this: int) -> int:
            self.released.append(name)
            return 0

        description = ctypes.POINTER(AdapterDescription)
        return self._instance({2: (release, []), 10: (describe, [description])})

    def _instance(self, methods: dict) -> int:
        table = (ctypes.c_void_p * 14)()
        for place, (method, arguments) in methods.items():
            function = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, *arguments)(method)
            self._kept.append(function)
            table[place] = ctypes.cast(function, ctypes.c_void_p).value
        pointer = ctypes.c_void_p(ctypes.addressof(table))
        self._kept += [table, pointer]
        return ctypes.addressof(pointer)


def test_the_list_of_directx_is_read_without_its_stand_ins_and_doubles():
    directx = FakeDirectX(
        [
            ("Intel(R) UHD Graphics 630", 0x8086, 0),
            ("NVIDIA GeForce RTX 4060 Laptop GPU", 0x10DE, 0),
            ("AMD Radeon™ 780M", 0x1002, 0),
            ("NVIDIA GeForce RTX 4060 Laptop GPU", 0x10DE, 0),
            ("Matrox G200", 0x102B, 0),
            ("Microsoft Basic Render Driver", 0x1414, 2),
            ("Microsoft Remote Display Adapter", 0x1414, 0),
        ]
    )
    assert listed_adapters(directx.factory, ctypes.CFUNCTYPE) == (
        Gpu("Intel", "Intel(R) UHD Graphics 630"),
        Gpu("NVIDIA", "NVIDIA GeForce RTX 4060 Laptop GPU"),
        Gpu("AMD", "AMD Radeon™ 780M"),
        Gpu("other", "Matrox G200"),
    )
    assert len(directx.released) == 7


def test_a_windows_without_any_gpu_has_an_empty_list():
    assert listed_adapters(FakeDirectX([]).factory, ctypes.CFUNCTYPE) == ()


def test_the_description_of_an_adapter_has_the_size_that_windows_expects():
    assert ctypes.sizeof(AdapterDescription) == (312 if sys.maxsize > 2**32 else 292)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has it")
def test_other_systems_have_no_directx():
    assert directx_adapters() == ()


CUDA_13 = ("nvidia-cublas", "nvidia-cuda-runtime", "nvidia-curand", "nvidia-cudnn-cu13")


def install(folder: Path, packages: dict[str, str]) -> None:
    for name, version in packages.items():
        info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


@pytest.mark.parametrize(
    "platform, packages, expected",
    [
        ("linux", dict.fromkeys(CUDA_13, "13.0"), 13),
        ("linux", dict.fromkeys(CUDA_13[:-1], "13.0"), None),  # all but cuDNN
        ("linux", {"torch": "2.9.0+cpu"}, None),
        ("linux", {"torch": "2.9.0+cu130"}, None),  # without NVIDIA's packages nothing is found
        ("win32", {"torch": "2.9.0+cu130"}, 13),
        ("win32", {"torch": "2.7.1+cu126"}, 12),
        ("win32", {"torch": "2.9.0+cpu"}, None),
        ("win32", {"torch": "2.9.0"}, None),
        ("win32", {}, None),
    ],
)
def test_cuda_is_found_among_the_packages_without_importing_any(
    tmp_path, monkeypatch, platform, packages, expected
):
    install(tmp_path, packages)

    def version(name: str) -> str:
        for distribution in metadata.distributions(name=name, path=[str(tmp_path)]):
            return distribution.version
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(cuda_packages, "version", version)
    monkeypatch.setattr(cuda_packages.sys, "platform", platform)
    assert installed_cuda() == expected
