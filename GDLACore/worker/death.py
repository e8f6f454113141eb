"""How a process ended, in words: from its exit status and the last of its log."""

from __future__ import annotations

import signal

from GDLACore.errors import WorkerError

_LONGEST_LINE = 200

_CRASH_HINT = (
    "Try again with the device cpu. If that works, update the graphics driver; if not, report it "
    "with the log."
)
_MEMORY_HINT = (
    "Most often the system ends a process when memory is short: close other programs, or choose "
    "fewer slices."
)
_PACKAGES_HINT = "Install the program and the packages that it needs again."
_OTHER_HINT = "Try again; if it happens again, report it with the log."

# Windows says so by exit codes, and other systems by signals.
_CRASHES = {
    0xC0000005: "access violation",
    0xC000001D: "illegal instruction",
    0xC0000409: "stack buffer overrun",
    0xC00000FD: "stack overflow",
    0xC0000374: "heap corruption",
}
_MISSING_LIBRARY = {0xC0000135, 0xC0000139, 0xC0000142}


def death(status: int, log: str) -> WorkerError:
    """Return the error about a process that ended with ``status`` and wrote ``log``.

    ``status`` is negative for a signal, as ``subprocess`` has it.
    """
    if status < 0:
        what, hint = _ended_by_signal(-status)
    elif status in _CRASHES:
        what, hint = f"crashed ({_CRASHES[status]})", _CRASH_HINT
    elif status in _MISSING_LIBRARY:
        what = f"could not load a library (exit code {status:#x})"
        hint = f"Install Microsoft's Visual C++ Redistributable. {_PACKAGES_HINT}"
    else:
        what, hint = f"ended with exit code {status}", _OTHER_HINT
    line = _telling_line(log)
    if line.startswith(("ModuleNotFoundError", "ImportError")):
        hint = _PACKAGES_HINT
    said = f', saying "{line}"' if line else ""
    return WorkerError(f"The background process {what}{said}.", hint)


def _ended_by_signal(number: int) -> tuple[str, str]:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    if name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"):
        return f"was ended from outside ({name})", _MEMORY_HINT if name == "SIGKILL" else (
            _OTHER_HINT
        )
    if name == "SIGBUS":
        return f"crashed ({name})", "See that the disk of the temporary files is not full."
    return f"crashed ({name})", _CRASH_HINT


def _telling_line(log: str) -> str:
    """Return the line of ``log`` that says most about its end: an error's last one."""
    lines = [line.rstrip() for line in log.splitlines() if line.strip()]
    for line in lines:
        if line.startswith("Fatal Python error"):  # below it, where each thread was
            return line
    # What is indented tells where it happened.
    plain = [line for line in lines if not line[0].isspace()]
    line = plain[-1] if plain else ""
    return line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 1]}…"
