"""Each test file in a process of its own: what is reported when one goes wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

CONFTEST = (
    "from own_process import (\n"
    "    pytest_configure, pytest_pycollect_makemodule, pytest_runtest_protocol)\n"
)


@pytest.fixture
def run(tmp_path):
    """Run pytest over test files, given by their texts; return its exit status and summary."""

    def run(*arguments, **files):
        (tmp_path / "conftest.py").write_text(CONFTEST)
        (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow: slow\n")
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(f"import os, pytest\n{text}\n")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("GDLA_")}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments, "."],
            cwd=tmp_path,
            env={**inherited, "PYTHONPATH": str(HERE)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        return done.returncode, done.stdout

    return run


def counts(output):
    return dict(reversed(pair.split()) for pair in re.findall(r"\d+ \w+", output.splitlines()[-1]))


def test_results_are_reported_as_if_the_tests_ran_here(run):
    status, output = run(
        "-ra",
        test_mixed=(
            "def test_good(): pass\n"
            "def test_bad(): assert 1 == 2\n"
            "def test_left_out(): pytest.skip('not today')\n"
            "@pytest.mark.parametrize('number', [1, 2, 3])\n"
            "def test_numbers(number): assert number < 3\n"
        ),
    )
    assert status == 1
    found = counts(output)
    assert (found["passed"], found["failed"], found["skipped"]) == ("3", "2", "1")
    assert "assert 1 == 2" in output
    assert "not today" in output
    assert "test_mixed.py::test_numbers[3]" in output
    assert "100%" in output


def test_a_crash_fails_the_test_and_those_after_it_and_no_other_file(run):
    status, output = run(
        test_a_crash=(
            "def test_before(): pass\ndef test_crash(): os.abort()\ndef test_after(): pass\n"
        ),
        test_other="def test_other(): pass",
    )
    assert status == 1
    assert (counts(output)["passed"], counts(output)["failed"]) == ("2", "2")
    assert "The process ended before this test did." in output
    assert "status -6" in output


def test_leaving_with_success_in_the_middle_is_no_success(run):
    status, output = run(test_leave="def test_leave(): os._exit(0)")
    assert status == 1
    assert "The process ended before this test did." in output


def test_a_crash_of_the_interpreters_exit_does_not_come(run):
    status, output = run(
        test_exit="import atexit\natexit.register(os.abort)\ndef test_good(): pass"
    )
    assert status == 0, output


def test_a_file_that_cannot_be_imported_fails_with_the_reason(run):
    status, output = run(test_broken="import nowhere\ndef test_never(): pass")
    assert status == 1
    assert "No module named 'nowhere'" in output


def test_tests_are_chosen_by_name_and_by_mark(run):
    files = {
        "test_chosen": ("def test_one(): pass\n@pytest.mark.slow\ndef test_two(): assert False\n")
    }
    assert run("-k", "one", **files)[0] == 0
    assert run("-m", "not slow", **files)[0] == 0
    assert run("-m", "slow", **files)[0] == 1
