"""The worker's program, spoken to without a client: what it answers to what makes no sense."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from GDLACore.worker.messages import VERSION, Hello, Quit
from GDLACore.worker.process import PROGRAM
from GDLACore.worker.protocol import LONGEST_LINE, encode


class Program:
    """The worker's program, started in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM)],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def say(self, line: bytes) -> None:
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def hear(self) -> dict[str, object]:
        """Return the next message that is more than a sign of life."""
        while (message := json.loads(self.process.stdout.readline()))["type"] == "alive":
            pass
        return message

    def refusal(self) -> str:
        message = self.hear()
        assert message["type"] == "refused"
        return message["error"]["message"]


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path)
    yield program
    with program.process as process:
        process.kill()


def test_what_makes_no_sense_is_refused_and_what_comes_next_is_done(program):
    program.say(b"GET / HTTP/1.1\n")
    assert "is not JSON." in program.refusal()  # unquoted, for it may be a piece of a token
    program.say(encode(Hello(VERSION, 60)))
    assert program.hear() == {"type": "hello", "version": VERSION, "pid": program.process.pid}
    program.say(b'{"type":"dance"}\n')
    assert "is none that is known" in program.refusal()
    program.say(b'{"type":"cancel","job":1}\n')
    assert "'job' is not a known field" in program.refusal()
    program.say(b"x" * LONGEST_LINE + b"\n")
    assert "is too long" in program.refusal()
    assert "is not JSON." in program.refusal()  # the rest of it
    program.say(encode(Quit()))
    assert program.process.wait(60) == 0


def test_a_client_of_another_version_is_told_and_the_program_ends(program):
    program.say(b'{"type":"hello","version":2,"colour":"blue"}\n')
    assert program.hear()["version"] == VERSION
    assert "has version 2 instead of 3" in program.refusal()
    assert program.process.wait(60) == 0


def test_it_ends_with_its_input_in_the_middle_of_a_line(program):
    program.say(encode(Hello(VERSION, 60)) + b'{"type":"qu')
    assert program.hear()["type"] == "hello"
    program.process.stdin.close()
    assert program.process.wait(60) == 0


def test_it_ends_when_nobody_listens_any_more(program):
    program.say(encode(Hello(VERSION, 60)))
    assert program.hear()["type"] == "hello"
    program.process.stdout.close()
    assert program.process.wait(60) == 0


def test_it_leaves_when_it_has_been_idle_for_long(program):
    program.say(encode(Hello(VERSION, 0.01)))
    assert [program.hear()["type"] for _ in range(2)] == ["hello", "leaving"]
    assert program.process.wait(60) == 0


def test_a_folder_that_is_no_session_folder_is_left_alone(program, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    program.say(encode(Hello(VERSION, 60)))
    assert program.hear()["type"] == "hello"
    program.process.stdin.close()
    assert program.process.wait(60) == 0
    assert (tmp_path / "thesis.txt").exists()
