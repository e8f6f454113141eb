"""Installing ONNX Runtime where there is no network, from a folder that someone brought along."""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
from pathlib import Path

import pytest
from installations import CUDA, PLAIN, Watched
from runtime_wheels import cuda_wheels, runtime_wheel

from GDLACore.installation import RuntimeFolder, Stopped
from GDLACore.offline import OfflineInstall, install_from_folder, into_folder, offline_install
from GDLACore.offline.checksums import CHECKSUMS, write_checksums

VERSION = ".".join(map(str, sys.version_info[:2]))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "runtime"


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch) -> Path:
    """A folder with ONNX Runtime, on a computer whose pip is set up for all sorts of things."""
    configuration = tmp_path / "pip.conf"
    configuration.write_text("[install]\nuser = true\nprefix = /nowhere\nno-binary = :all:\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(configuration))
    monkeypatch.setenv("PIP_INDEX_URL", "http://packages.invalid/simple")
    monkeypatch.setenv("PIP_REQUIRE_HASHES", "1")
    return put(tmp_path / "wheels from IT, č中", *[runtime_wheel()])


def put(folder: Path, *wheels: tuple[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in wheels:
        (folder / name).write_bytes(content)
    return folder


def test_one_wheel_in_a_folder_is_enough(wheels, place):
    folder = RuntimeFolder(place)
    watched = Watched(install_from_folder(folder, wheels, [CUDA, PLAIN]))
    ready = watched.finished().state
    assert ready == folder.state() and ready.package == "onnxruntime"
    assert watched.phases == ["preparing", "unpacking", "testing"]


def test_a_bundle_with_cuda_is_installed_whole(wheels, place, tmp_path):
    bundle = tmp_path / "bundle"
    put(bundle / "wheels", *cuda_wheels().items())
    write_checksums(bundle)
    ready = Watched(install_from_folder(RuntimeFolder(place), bundle, [CUDA, PLAIN])).finished()
    assert ready.state.package == "onnxruntime-gpu"
    assert (ready.state.path / "nvidia/cublas/libcublas.so.13").is_file()


def test_wheels_for_others_are_named_with_what_is_needed(wheels, place, tmp_path):
    other = put(tmp_path / "other", runtime_wheel(tag="cp39-cp39-win_amd64"))
    told = Watched(install_from_folder(RuntimeFolder(place), other, [PLAIN])).error()
    assert told.startswith("There is no wheel of onnxruntime>=1.23 for ")
    assert f"with Python {VERSION}: onnxruntime-1.32.0-cp39-cp39-win_amd64.whl is for " in told
    assert not place.exists()


@pytest.mark.parametrize("beside", [True, False], ids=["beside the wheels", "of the bundle"])
def test_a_wheel_with_another_checksum_is_not_installed(wheels, place, tmp_path, beside):
    name, content = runtime_wheel()
    bundle = tmp_path / "bundle"
    where = put(bundle / "wheels", (name, content))
    write_checksums(where if beside else bundle)
    (where / name).write_bytes(content + b"\0")
    told = Watched(install_from_folder(RuntimeFolder(place), where, [PLAIN])).error()
    assert f"{name} is damaged: its checksum is not that in " in told and CHECKSUMS in told


def test_a_wheel_that_was_cut_off_is_not_installed(wheels, place):
    for wheel in wheels.iterdir():
        wheel.write_bytes(wheel.read_bytes()[:200])
    told = Watched(install_from_folder(RuntimeFolder(place), wheels, [PLAIN])).error()
    assert "onnxruntime-1.32.0-py3-none-any.whl is damaged" in told


def test_a_wheel_whose_content_was_changed_is_not_installed(wheels, place):
    for wheel in wheels.iterdir():
        wheel.write_bytes(wheel.read_bytes().replace(b"InferenceSession", b"InferenceSessioN"))
    Watched(install_from_folder(RuntimeFolder(place), wheels, [PLAIN])).error()
    assert list(place.iterdir()) == []


def test_a_folder_that_is_not_there_is_told(wheels, place, tmp_path):
    nowhere = tmp_path / "USB"
    told = Watched(install_from_folder(RuntimeFolder(place), nowhere, [PLAIN])).error()
    assert told.startswith(f"The folder {nowhere} cannot be read: ")


def test_room_is_needed_for_what_is_unpacked_alone(wheels, place):
    fetched = dataclasses.replace(PLAIN, download_mb=10**9)
    Watched(install_from_folder(RuntimeFolder(place), wheels, [fetched])).finished()
    large = dataclasses.replace(PLAIN, installed_mb=10**9)
    told = Watched(install_from_folder(RuntimeFolder(place), wheels, [large])).error()
    assert told.startswith("There is too little space in ")


def test_it_can_be_cancelled_while_it_looks_into_the_folder(wheels, place, monkeypatch):
    cancelled = threading.Event()

    def look(*given: object) -> OfflineInstall:
        assert cancelled.wait(60)
        return offline_install(*given)

    monkeypatch.setattr(into_folder, "offline_install", look)
    folder = RuntimeFolder(place)
    before = os.listdir(wheels)
    installation = install_from_folder(folder, wheels, [PLAIN])
    installation.cancel()
    cancelled.set()
    assert Watched(installation).end() == Stopped()
    assert os.listdir(wheels) == before and folder.packages is None
