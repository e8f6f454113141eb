"""Runs each test file in a process of its own, and reports its tests as if they ran here.

Slicer's libraries and Qt in one process may crash: in the middle, or when the interpreter ends
after all went well. So the process of a file leaves without ending the interpreter, and if it is
gone too early, its remaining tests fail and say so; other files do not notice.

The tests are found here by reading the file, not by importing it. A test with parameters counts as
one until it has run. ``GDLA_SAME_PROCESS=1`` runs everything in one process, for a debugger.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_REPORTS = "GDLA_TEST_REPORTS"  # in the process of a file: where its reports go
_LIMIT = 600  # seconds for a file


def is_inside() -> bool:
    return _REPORTS in os.environ or "GDLA_SAME_PROCESS" in os.environ


class File(pytest.File):
    """A test file. Its process runs with its first test that is wanted."""

    _reports: dict[str, list[pytest.TestReport]] | None = None
    _end = ""

    def collect(self) -> Iterator[Function]:
        for node in ast.parse(self.path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
                item = Function.from_parent(self, name=node.name)
                for mark in _marks(node):
                    item.add_marker(mark)
                yield item

    def reports(self, item: Function) -> list[pytest.TestReport]:
        wanted = [other for other in self.session.items if other.parent is self]
        if self._reports is None:
            self._run([other.name for other in wanted])
        found = self._reports.get(item.name, [])
        if not any(report.when == "teardown" for report in found):
            return [*found, item.failure(f"The process ended before this test did.{self._tell()}")]
        if self._end and item is wanted[-1]:
            return [*found, item.failure(f"The process ended badly after its tests.{self._tell()}")]
        return found

    def _tell(self) -> str:
        """Return how the process ended, to the first that asks."""
        end, self._end = self._end, ""
        return f"\n{end}" if end else ""

    def _run(self, names: list[str]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "reports")
            path.touch()
            command = [sys.executable, "-X", "faulthandler", "-m", "pytest", "--no-header", "-q"]
            command += ["-p", "no:cacheprovider", f"--tb={self.config.option.tbstyle}"]
            command += [f"{self.path}::{name}" for name in names]
            try:
                done = subprocess.run(
                    command,
                    cwd=self.config.rootpath,
                    env={**os.environ, _REPORTS: str(path)},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    timeout=_LIMIT,
                )
                status, output = done.returncode, done.stdout
            except subprocess.TimeoutExpired as error:
                status, output = f"no end within {_LIMIT} s", str(error.output)
            lines = path.read_text(encoding="utf-8").splitlines()
        self._reports = {}
        for line in lines:
            report = self.config.hook.pytest_report_from_serializable(
                config=self.config, data=json.loads(line)
            )
            if isinstance(report.longrepr, list):
                report.longrepr = tuple(report.longrepr)  # of a skip, which JSON has made a list
            name = report.nodeid.rpartition("::")[2].partition("[")[0]
            self._reports.setdefault(name, []).append(report)
        failed = any(report.failed for reports in self._reports.values() for report in reports)
        if status != int(failed):
            self._end = f"status {status}\n{output[-4000:]}"


class Function(pytest.Item):
    """A test in another process. With parameters it stands for all of them."""

    def failure(self, reason: str) -> pytest.TestReport:
        return pytest.TestReport(
            nodeid=self.nodeid,
            location=self.location,
            keywords={},
            outcome="failed",
            longrepr=reason,
            when="call",
        )

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, self.name

    def runtest(self) -> None:
        raise AssertionError("run in the process of its file")


def _marks(node: ast.FunctionDef) -> Iterator[str]:
    for decorator in node.decorator_list:
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "pytest.mark":
            if target.attr != "parametrize":
                yield target.attr


# Hooks, for a conftest.py to take over


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> File | None:
    return None if is_inside() else File.from_parent(parent, path=module_path)


def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    if not isinstance(item, Function):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = item.parent.reports(item)
    item.session.testscollected += max(0, len({report.nodeid for report in reports}) - 1)
    for report in reports:
        if hasattr(item.config, "workerinput"):
            # pytest-xdist takes no reports but those of the test that it has asked for.
            report.sections.append(("Parameters", report.nodeid))
            report.nodeid = item.nodeid
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


class Reporter:
    """The plugin of the process of a file: passes reports on, and leaves without an end."""

    _status = 1

    def __init__(self, config: pytest.Config) -> None:
        self._config, self._path = config, Path(os.environ[_REPORTS])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(data, default=str) + "\n")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self._status = int(exitstatus)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(self._status)


def pytest_configure(config: pytest.Config) -> None:
    if _REPORTS in os.environ:
        config.pluginmanager.register(Reporter(config))
