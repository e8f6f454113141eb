"""Which wheels suit a computer, and what is said of those that do not."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from wheel_files import LINUX, MAC, WINDOWS, write_engine, write_wheel

from GDLACore.errors import EngineError
from GDLACore.installation import SystemFacts, detect_system
from GDLACore.offline.platforms import FLAVOURS, PLATFORMS
from GDLACore.offline.requirements import Requirement, parse_requirement
from GDLACore.offline.wheel import wheel, wheels_in
from GDLACore.offline.wheel_choice import needed_wheels

PC = SystemFacts("Windows", (10, 0, 22000), "x86_64", (3, 12))
STATION = SystemFacts("Linux", (2, 28), "x86_64", (3, 12))
MACBOOK = SystemFacts("macOS", (14, 2), "arm64", (3, 12))

OLD_MAC = SystemFacts("macOS", (13, 6), "x86_64", (3, 12))


@pytest.mark.parametrize(
    ("tags", "fits"),
    [
        ("cp312-cp312-win_amd64", {PC}),
        ("cp311-cp311-win_amd64", set()),
        ("cp313-cp313-win_amd64", set()),
        ("cp312-cp312t-win_amd64", set()),
        ("cp312-none-win_amd64", {PC}),
        ("cp310-abi3-win_amd64", {PC}),
        ("cp313-abi3-win_amd64", set()),
        ("cp310-cp310-win_amd64", set()),
        ("py3-none-win_amd64", {PC}),
        ("cp312-cp312-win_arm64", set()),
        ("cp312-cp312-win32", set()),
        ("cp312-cp312-manylinux_2_28_x86_64", {STATION}),
        ("cp312-cp312-manylinux_2_27_x86_64.manylinux_2_28_x86_64", {STATION}),
        ("cp312-cp312-manylinux_2_34_x86_64", set()),
        ("cp312-cp312-manylinux2014_x86_64", {STATION}),
        ("cp312-cp312-manylinux2014_aarch64", set()),
        ("cp312-cp312-linux_x86_64", {STATION}),
        ("cp312-cp312-musllinux_1_2_x86_64", set()),
        ("cp312-cp312-macosx_14_0_arm64", {MACBOOK}),
        ("cp312-cp312-macosx_15_0_arm64", set()),
        ("cp312-cp312-macosx_13_0_x86_64", {OLD_MAC}),
        ("cp312-cp312-macosx_10_9_universal2", {MACBOOK, OLD_MAC}),
        ("py3-none-any", {PC, STATION, MACBOOK, OLD_MAC}),
        ("py2.py3-none-any", {PC, STATION, MACBOOK, OLD_MAC}),
        ("py2-none-any", set()),
        ("py39-none-any", {PC, STATION, MACBOOK, OLD_MAC}),
        ("py313-none-any", set()),
        ("pp310-pypy310_pp73-win_amd64", set()),
    ],
)
def test_the_name_of_a_wheel_says_where_it_runs(tags, fits):
    one = wheel(Path(f"onnxruntime-1.32.0-{tags}.whl"))
    assert {system for system in (PC, STATION, MACBOOK, OLD_MAC) if not one.misfit(system)} == fits


def test_pip_agrees_on_where_wheels_run():
    tags_of = pytest.importorskip("pip._vendor.packaging.tags")
    pip_knows = set(map(str, tags_of.sys_tags()))
    here = detect_system()
    version = f"3{here.python[1]}"
    platforms = {str(tag).split("-")[2] for tag in tags_of.sys_tags()} | {WINDOWS, LINUX, MAC}
    for platform in platforms - {"any"}:
        for tags in (f"cp{version}-cp{version}-{platform}", f"cp38-abi3-{platform}"):
            one = wheel(Path(f"a-1-{tags}.whl"))
            assert (not one.misfit(here)) == (tags in pip_knows), tags


def test_what_is_no_wheel_is_passed_over(tmp_path):
    for name in ("a.whl", "a-1.whl", "notes.txt", "a-1-py3-none-any.whl.part", "a-1.tar.gz"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "b-1-py3-none-any.whl").mkdir()
    assert wheels_in(tmp_path) == ()
    assert wheel(Path("a_b.c-1.0+cu12-2x-py3-none-any.whl")).name == "a-b-c"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("numpy", Requirement("numpy")),
        ("Flat_Buffers >=2 , <30", Requirement("flat-buffers", versions=">=2 , <30")),
        ("protobuf (>=4.25)", Requirement("protobuf", versions=">=4.25")),
        ('sympy; extra == "symbolic"', Requirement("sympy", extra="symbolic")),
        (
            "nvidia-cudnn-cu12~=9.0; extra == 'cudnn'",
            Requirement("nvidia-cudnn-cu12", versions="~=9.0", extra="cudnn"),
        ),
        (
            'a[b,C]>=1; sys_platform == "win32" and extra == "x"',
            Requirement("a", frozenset({"b", "c"}), ">=1", "x", True),
        ),
        ('tomli; python_version < "3.11"', Requirement("tomli", conditional=True)),
        ("@@@", None),
    ],
)
def test_requirements_are_understood(text, expected):
    assert parse_requirement(text) == expected


@pytest.mark.parametrize(
    ("versions", "accepted", "refused"),
    [
        ("", ("1", "9!1"), ()),
        (">=1.23", ("1.23", "1.23.0", "1.100", "2"), ("1.22.9", "1.3")),
        (">=1.23,<1.27", ("1.23", "1.26.9"), ("1.27", "1.27.0", "1.28")),
        ("~=12.1", ("12.1", "12.9.3"), ("12.0", "13.0")),
        ("~=9.0.1", ("9.0.1", "9.0.7"), ("9.1", "9.0.0")),
        ("==1.2.*", ("1.2", "1.2.7"), ("1.3",)),
        ("==1.2", ("1.2", "1.2.0"), ("1.2.1",)),
        ("!=1.2,!=1.3.*", ("1.4",), ("1.2", "1.2.0", "1.3.5")),
        (">1,<=2", ("1.0.1", "2.0"), ("1", "2.0.1")),
        (">=1; nonsense", ("1",), ()),
    ],
)
def test_versions_are_compared_as_numbers(versions, accepted, refused):
    requirement = Requirement("a", versions=versions)
    assert [v for v in (*accepted, *refused) if requirement.accepts(v)] == list(accepted)


def names(wheels: tuple) -> list[str]:
    return [one.name for one in wheels]


def test_all_that_is_needed_is_chosen_and_nothing_else(tmp_path):
    write_engine(tmp_path)
    write_engine(tmp_path, LINUX)
    write_wheel(tmp_path, "sympy")
    write_wheel(tmp_path, "numpy", "2.5.0", "cp312-cp312-win_amd64")
    chosen = needed_wheels(["onnxruntime>=1.23"], wheels_in(tmp_path), PC)
    assert [one.path.name for one in chosen] == [
        "flatbuffers-25.12.19-py2.py3-none-any.whl",
        "onnxruntime-1.32.0-cp312-cp312-win_amd64.whl",
        "protobuf-7.36.2-cp310-abi3-win_amd64.whl",
    ]


def test_the_newest_that_will_do_is_chosen(tmp_path):
    for version in ("1.9.0", "1.30.1", "1.4.0", "1.31.0rc1", "1.27.0"):
        write_wheel(tmp_path, "a", version)
    (chosen,) = needed_wheels(["a<1.31"], wheels_in(tmp_path), PC)
    assert chosen.version == "1.30.1"


def test_extras_bring_what_they_stand_for(tmp_path):
    needs = ['cublas~=13.0; extra == "cuda"', 'cudnn; extra == "cudnn"', 'x; extra == "other"']
    write_wheel(tmp_path, "onnxruntime-gpu", needs=needs)
    write_wheel(tmp_path, "cublas", "13.1")
    write_wheel(tmp_path, "cudnn", needs=["cublas"])
    write_wheel(tmp_path, "x")
    chosen = needed_wheels(["onnxruntime-gpu[cuda,cudnn]>=1.28"], wheels_in(tmp_path), PC)
    assert names(chosen) == ["cublas", "cudnn", "onnxruntime-gpu"]


def test_packages_that_need_each_other_come_to_an_end(tmp_path):
    write_wheel(tmp_path, "a", needs=["b"])
    write_wheel(tmp_path, "b", needs=["a"])
    assert names(needed_wheels(["a"], wheels_in(tmp_path), PC)) == ["a", "b"]


def test_what_only_some_systems_need_may_be_missing(tmp_path):
    write_wheel(tmp_path, "a", needs=['b; sys_platform == "win32"', 'c; python_version < "3.11"'])
    write_wheel(tmp_path, "b")
    assert names(needed_wheels(["a"], wheels_in(tmp_path), PC)) == ["a", "b"]


@pytest.mark.parametrize(
    ("wheels", "message"),
    [
        ((("cp311", WINDOWS),), "onnxruntime-1.32.0-cp311-cp311-win_amd64.whl is for Python 3.11"),
        ((("cp312", LINUX),), "is for manylinux_2_28_x86_64."),
        ((("cp311", WINDOWS), ("cp312", MAC)), "for Python 3.11; onnxruntime-1.32.0-cp312"),
    ],
)
def test_wheels_for_other_computers_are_named(tmp_path, wheels, message):
    for python, platform in wheels:
        write_engine(tmp_path, platform, python)
    with pytest.raises(EngineError) as caught:
        needed_wheels(["onnxruntime>=1.23"], wheels_in(tmp_path), PC)
    assert "for Windows (x86_64) with Python 3.12" in caught.value.message
    assert message in caught.value.message and caught.value.hint


def test_a_missing_companion_is_named(tmp_path):
    write_engine(tmp_path)
    (tmp_path / "flatbuffers-25.12.19-py2.py3-none-any.whl").unlink()
    with pytest.raises(EngineError, match="There is no wheel of flatbuffers for Windows"):
        needed_wheels(["onnxruntime"], wheels_in(tmp_path), PC)


def test_a_version_that_is_too_old_is_named(tmp_path):
    write_wheel(tmp_path, "onnxruntime", "1.20.0")
    with pytest.raises(EngineError, match="1.20.0-py3-none-any.whl is version 1.20.0"):
        needed_wheels(["onnxruntime>=1.23"], wheels_in(tmp_path), PC)


@pytest.mark.parametrize("content", [b"", b"PK damaged", b"MZ"])
def test_a_damaged_wheel_is_named(tmp_path, content):
    write_engine(tmp_path).write_bytes(content)
    with pytest.raises(EngineError, match="win_amd64.whl is damaged"):
        needed_wheels(["onnxruntime"], wheels_in(tmp_path), PC)


def test_a_wheel_without_its_description_is_named(tmp_path):
    path = write_wheel(tmp_path, "a")
    path.rename(tmp_path / "b-1-py3-none-any.whl")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/__init__.py", "")
    with pytest.raises(EngineError, match="is not a whole wheel"):
        needed_wheels(["a"], wheels_in(tmp_path), PC)


def test_there_is_a_build_of_every_kind_that_is_offered():
    for platform in PLATFORMS.values():
        found = {}
        for flavour in FLAVOURS:
            try:
                found[flavour] = platform.build(flavour, (3, 12)).package
            except EngineError as error:
                assert platform.title in error.message and "3.12" in error.message
        assert "cpu" in found
        assert ("gpu" in found) == (platform.os != "macOS")
        assert ("directml" in found) == (platform.os == "Windows")
        with pytest.raises(EngineError):
            platform.build("cpu", (3, 8))
