"""How many cores and how much GPU memory there are for us, on computers that are not this one."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from types import SimpleNamespace

import pytest

from GDLACore.engine import gpu_memory, processors
from GDLACore.engine.gpu_memory import free_gpu_memory
from GDLACore.engine.processors import (
    cores_in_windows_table,
    linux_cores,
    linux_time_share,
    physical_cores,
)


def topology(folder: Path, siblings: dict[int, str]) -> Path:
    for processor, processors_of_core in siblings.items():
        path = folder / f"cpu{processor}" / "topology"
        path.mkdir(parents=True)
        (path / "thread_siblings_list").write_text(f"{processors_of_core}\n")
    return folder


def control_group(folder: Path, membership: str, limits: dict[str, str]) -> dict[str, Path]:
    for name, content in limits.items():
        path = folder / "mounted" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (folder / "cgroup").write_text(membership)
    return {"membership": folder / "cgroup", "mounted": folder / "mounted"}


def test_two_threads_of_a_core_count_once(tmp_path: Path):
    system = topology(tmp_path, {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"})
    assert linux_cores({0, 1, 2, 3}, system) == 2
    assert linux_cores({0, 2}, system) == 1
    assert linux_cores({0, 3}, system) == 2


def test_without_a_topology_every_processor_is_a_core(tmp_path: Path):
    assert linux_cores({0, 1, 5}, tmp_path) == 3


@pytest.mark.parametrize(
    "membership, limits, share",
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {}, None),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "200000 100000"}, 2.0),
        # Seen from inside a container, the group has a path that is not there.
        ("0::/docker/123\n", {"cpu.max": "50000 100000\n"}, 0.5),
        (
            "3:cpu,cpuacct:/x\n2:memory:/y\n",
            {
                "cpu,cpuacct/x/cpu.cfs_quota_us": "400000\n",
                "cpu,cpuacct/x/cpu.cfs_period_us": "100000\n",
            },
            4.0,
        ),
        (
            "3:cpu,cpuacct:/x\n",
            {
                "cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
                "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
    ],
)
def test_the_narrowest_control_group_limits_the_share_of_time(tmp_path, membership, limits, share):
    assert linux_time_share(**control_group(tmp_path, membership, limits)) == share


def test_a_system_without_control_groups_has_no_limit(tmp_path: Path):
    assert linux_time_share(tmp_path / "none", tmp_path) is None


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux only")
@pytest.mark.parametrize("share, expected", [(None, 8), (2.9, 2), (0.5, 1), (64.0, 8)])
def test_a_share_of_time_limits_the_threads_but_leaves_one(monkeypatch, share, expected):
    monkeypatch.setattr(processors, "linux_cores", lambda allowed: 8)
    monkeypatch.setattr(processors, "linux_time_share", lambda: share)
    assert physical_cores() == expected


@pytest.mark.parametrize("error", [OSError("no such file"), struct.error("33 bytes")], ids=repr)
def test_cores_that_cannot_be_counted_are_taken_for_as_many_as_processors(monkeypatch, error):
    def fails() -> int:
        raise error

    monkeypatch.setattr(processors, "_counted", fails)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert physical_cores() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert physical_cores() == 1


def test_this_computer_has_between_one_core_and_all_its_processors():
    assert 1 <= physical_cores() <= (os.cpu_count() or 1)


def test_only_the_cores_in_a_table_of_windows_are_counted():
    core, cache, package = 0, 2, 3
    entries = [(0b0011, core), (0b1100, core), (0b0011, cache), (0b1111, package)]
    table = b"".join(struct.pack("<QI20x", mask, shared) for mask, shared in entries)
    assert cores_in_windows_table(table, 0b1111) == 2
    assert cores_in_windows_table(table, 0b0100) == 1


class Driver:
    """A stand-in for NVIDIA's driver, whose function ``failing`` fails."""

    def __init__(self, failing: str = "") -> None:
        self.calls: list[str] = []
        self._failing = failing

    def _result(self, name: str) -> int:
        self.calls.append(name)
        return 999 if name == self._failing else 0

    def cuInit(self, flags: int) -> int:
        assert flags == 0
        return self._result("cuInit")

    def cuDeviceGet(self, device, ordinal: int) -> int:
        assert ordinal == 0
        device._obj.value = 7
        return self._result("cuDeviceGet")

    def cuDevicePrimaryCtxRetain(self, context, device) -> int:
        assert device.value == 7
        context._obj.value = 42
        return self._result("cuDevicePrimaryCtxRetain")

    def cuCtxPushCurrent_v2(self, context) -> int:
        assert context.value == 42
        return self._result("cuCtxPushCurrent_v2")

    def cuMemGetInfo_v2(self, free, total) -> int:
        free._obj.value, total._obj.value = 5 * 2**30, 8 * 2**30
        return self._result("cuMemGetInfo_v2")

    def cuCtxPopCurrent_v2(self, context) -> int:
        return self._result("cuCtxPopCurrent_v2")

    def cuDevicePrimaryCtxRelease_v2(self, device) -> int:
        assert device.value == 7
        return self._result("cuDevicePrimaryCtxRelease_v2")


def ask(monkeypatch: pytest.MonkeyPatch, load: object) -> int | None:
    real = gpu_memory.ctypes
    names = ("c_int", "c_void_p", "c_size_t", "byref")
    stand_in = SimpleNamespace(CDLL=load, **{name: getattr(real, name) for name in names})
    monkeypatch.setattr(gpu_memory, "ctypes", stand_in)
    return free_gpu_memory()


def test_the_driver_tells_the_free_memory_and_gets_its_context_back(monkeypatch):
    driver = Driver()
    assert ask(monkeypatch, lambda name: driver) == 5 * 2**30
    assert driver.calls[-2:] == ["cuCtxPopCurrent_v2", "cuDevicePrimaryCtxRelease_v2"]


@pytest.mark.parametrize(
    "failing",
    [
        "cuInit",
        "cuDeviceGet",
        "cuDevicePrimaryCtxRetain",
        "cuCtxPushCurrent_v2",
        "cuMemGetInfo_v2",
    ],
)
def test_a_driver_that_fails_tells_no_memory_and_keeps_nothing(monkeypatch, failing):
    driver = Driver(failing)
    assert ask(monkeypatch, lambda name: driver) is None
    retained = "cuCtxPushCurrent_v2" in driver.calls
    assert ("cuDevicePrimaryCtxRelease_v2" in driver.calls) == retained
    pushed = "cuMemGetInfo_v2" in driver.calls
    assert ("cuCtxPopCurrent_v2" in driver.calls) == pushed


def test_without_a_driver_the_memory_is_not_known(monkeypatch):
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    assert ask(monkeypatch, missing) is None
    assert ask(monkeypatch, lambda name: SimpleNamespace(cuInit=lambda flags: 0)) is None
