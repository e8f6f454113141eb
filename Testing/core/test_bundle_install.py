"""A first installation from a folder of wheels: whole, and for this computer."""

from __future__ import annotations

from pathlib import Path

import pytest
from wheel_files import LINUX, write_engine, write_wheel

from GDLACore.errors import DownloadError, EngineError
from GDLACore.installation import RuntimeChoice, SystemFacts, runtime_choices
from GDLACore.offline import OfflineInstall, offline_install
from GDLACore.offline.checksums import write_checksums
from GDLACore.offline.install import installed_packages

PC = SystemFacts("Windows", (10, 0, 22000), "x86_64", (3, 12))
CHOICES = runtime_choices(PC)


def names(plan: OfflineInstall) -> list[str]:
    return [one.name for one in plan.wheels]


def test_the_wheels_of_a_folder_are_installed_without_a_network(tmp_path):
    engine = write_engine(tmp_path)
    plan = offline_install(tmp_path, CHOICES, PC, installed=())
    assert plan.choice.package == "onnxruntime" and plan.size > engine.stat().st_size
    options, files = plan.pip_arguments[:2], plan.pip_arguments[2:]
    assert options == ("--no-index", "--no-deps")
    assert {Path(file).name.partition("-")[0] for file in files} == {
        "onnxruntime",
        "flatbuffers",
        "protobuf",
    }


def test_the_best_build_that_the_folder_has_is_taken(tmp_path):
    best, other = CHOICES[0], RuntimeChoice("ort-big", "GPU", "", ("ort-big",), 1, 1)
    write_engine(tmp_path)
    assert offline_install(tmp_path, (other, best), PC, installed=()).choice == best
    write_wheel(tmp_path, "ort-big")
    assert offline_install(tmp_path, (other, best), PC, installed=()).choice == other


def test_what_is_installed_need_not_be_in_the_folder(tmp_path):
    write_engine(tmp_path)
    (tmp_path / "flatbuffers-25.12.19-py2.py3-none-any.whl").unlink()
    plan = offline_install(tmp_path, CHOICES, PC, installed=("flatbuffers",))
    assert names(plan) == ["onnxruntime", "protobuf"]
    # The engine itself is installed anew.
    again = offline_install(tmp_path, CHOICES, PC, installed=("flatbuffers", "onnxruntime"))
    assert names(again) == ["onnxruntime", "protobuf"]


def test_the_packages_of_this_python_are_known():
    assert {"numpy", "pytest"} <= installed_packages()


def test_a_bundle_may_be_chosen_as_a_whole(tmp_path):
    write_engine(tmp_path / "wheels")
    write_checksums(tmp_path)
    for folder in (tmp_path, tmp_path / "wheels"):
        assert offline_install(folder, CHOICES, PC, ()).folder == tmp_path / "wheels"


def test_a_wheel_that_was_damaged_on_its_way_is_not_installed(tmp_path):
    engine = write_engine(tmp_path / "wheels")
    write_checksums(tmp_path)
    with engine.open("ab") as file:
        file.write(b"\0")
    with pytest.raises(DownloadError, match="win_amd64.whl is damaged: its checksum"):
        offline_install(tmp_path, CHOICES, PC, installed=())


def test_a_folder_without_wheels_is_refused(tmp_path):
    with pytest.raises(EngineError, match="There are no wheels in"):
        offline_install(tmp_path, CHOICES, PC)
    with pytest.raises(EngineError, match="none cannot be read: No such file"):
        offline_install(tmp_path / "none", CHOICES, PC)


def test_a_folder_for_another_computer_is_refused(tmp_path):
    write_engine(tmp_path, LINUX)
    with pytest.raises(EngineError, match="for Windows .* is for manylinux"):
        offline_install(tmp_path, CHOICES, PC, installed=())
