"""How many of the computer's processor cores this process may keep busy."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from pathlib import Path

_WINDOWS_CORE = 0  # RelationProcessorCore of SYSTEM_LOGICAL_PROCESSOR_INFORMATION


def physical_cores() -> int:
    """Return the number of physical cores at this process's disposal, at least 1.

    Two threads of one core share its arithmetic units: a matrix product gains nothing from the
    second. The process's affinity and, on Linux, its control group's share of time count; on
    Apple's processors only the fast cores do.
    """
    try:
        cores = _counted()
    except (OSError, ValueError, AttributeError, struct.error):
        cores = 0
    return cores or os.cpu_count() or 1


def _counted() -> int:
    if sys.platform == "win32":
        return _windows_cores()
    if sys.platform == "darwin":
        return _mac_number("hw.perflevel0.physicalcpu") or _mac_number("hw.physicalcpu")
    cores = linux_cores(os.sched_getaffinity(0))
    share = linux_time_share()
    return cores if share is None else max(1, min(cores, int(share)))


def linux_cores(processors: set[int], system: Path = Path("/sys/devices/system/cpu")) -> int:
    """Return on how many physical cores the logical ``processors`` lie."""
    cores = set()
    for processor in processors:
        siblings = system / f"cpu{processor}" / "topology" / "thread_siblings_list"
        # A virtual machine may not show them: then each is taken for a core of its own.
        cores.add(siblings.read_text().strip() if siblings.exists() else str(processor))
    return len(cores)


def linux_time_share(
    membership: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")
) -> float | None:
    """Return the processors' worth of time that control groups allow, None without a limit.

    Containers are limited so. More threads than that are stopped again and again.
    """
    if not membership.exists():
        return None
    shares = []
    for line in membership.read_text().splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers == "":  # version 2
            base, names = mounted, ("cpu.max",)
        elif "cpu" in controllers.split(","):
            base, names = mounted / controllers, ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        else:
            continue
        # Any group above may be the narrowest. Inside a container the path is another's.
        group_path = Path(group.lstrip("/"))
        for level in (group_path, *group_path.parents):
            files = [base / level / name for name in names]
            if all(file.exists() for file in files):
                quota, period = " ".join(file.read_text() for file in files).split()
                if quota not in ("max", "-1"):
                    shares.append(int(quota) / int(period))
    return min(shares, default=None)


def _mac_number(name: str) -> int:
    """Return the integer that ``sysctl name`` prints, 0 if there is none."""
    value = ctypes.c_int(0)
    size = ctypes.c_size_t(ctypes.sizeof(value))
    failed = ctypes.CDLL(None).sysctlbyname(
        name.encode(), ctypes.byref(value), ctypes.byref(size), None, 0
    )
    return 0 if failed else value.value


def _windows_cores() -> int:
    kernel = ctypes.windll.kernel32
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    allowed, everywhere = ctypes.c_size_t(0), ctypes.c_size_t(0)
    if not kernel.GetProcessAffinityMask(
        ctypes.c_void_p(kernel.GetCurrentProcess()),
        ctypes.byref(allowed),
        ctypes.byref(everywhere),
    ):
        return 0
    size = ctypes.c_ulong(0)
    kernel.GetLogicalProcessorInformation(None, ctypes.byref(size))
    table = ctypes.create_string_buffer(size.value)
    if not kernel.GetLogicalProcessorInformation(table, ctypes.byref(size)):
        return 0
    return cores_in_windows_table(table.raw[: size.value], allowed.value)


def cores_in_windows_table(table: bytes, allowed: int) -> int:
    """Return the cores with a processor of the mask ``allowed`` in a 64-bit Windows' ``table``.

    ``table`` is an array of SYSTEM_LOGICAL_PROCESSOR_INFORMATION: a mask of processors (8 bytes),
    what they share (4), and 20 bytes that depend on it.
    """
    entries = struct.iter_unpack("<QI20x", table)
    return sum(1 for mask, shared in entries if shared == _WINDOWS_CORE and mask & allowed)
