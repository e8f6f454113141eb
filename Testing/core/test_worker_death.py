"""How a process ended is told by its exit status and the line of its log that says most."""

from __future__ import annotations

import pytest

from GDLACore.worker.death import death

TRACEBACK = (
    "Traceback (most recent call last):\n"
    '  File "worker.py", line 3, in main\n'
    "    raise ValueError('no')\n"
    "ValueError: no\n"
    "\n"
)
FATAL = (
    "a warning\n"
    "Fatal Python error: Segmentation fault\n"
    "\n"
    "Current thread 0x00007f (most recent call first):\n"
    '  File "worker.py", line 3 in main\n'
)


@pytest.mark.parametrize(
    ("status", "words", "hint"),
    [
        (-9, "was ended from outside (SIGKILL)", "memory is short"),
        (-15, "was ended from outside (SIGTERM)", "report it"),
        (-11, "crashed (SIGSEGV)", "device cpu"),
        (-6, "crashed (SIGABRT)", "device cpu"),
        (-7, "crashed (SIGBUS)", "disk"),
        (-99, "crashed (signal 99)", "device cpu"),
        (1, "ended with exit code 1", "report it"),
        (0, "ended with exit code 0", "report it"),
        (0xC0000005, "crashed (access violation)", "device cpu"),
        (0xC0000135, "could not load a library (exit code 0xc0000135)", "Visual C++"),
    ],
)
def test_the_exit_status_is_told_in_words(status, words, hint):
    error = death(status, "")
    assert error.message == f"The background process {words}."
    assert hint in error.hint


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (TRACEBACK, "ValueError: no"),
        (FATAL, "Fatal Python error: Segmentation fault"),
        ("one\ntwo\r\n\n  where\n", "two"),
        ("   \n\n", ""),
        ("x" * 500, "x" * 199 + "…"),
    ],
)
def test_the_line_that_says_most_is_told(log, said):
    tail = f', saying "{said}".' if said else "."
    assert death(1, log).message == f"The background process ended with exit code 1{tail}"


def test_a_missing_package_is_to_be_installed():
    error = death(1, "ModuleNotFoundError: No module named 'scipy'\n")
    assert error.hint == "Install the program and the packages that it needs again."
