"""NVIDIA's own tritonserver, with its Python backend, for tests on this computer alone.

Its program comes in the wheel of nvidia-pytriton, of which nothing else is used. Models run in a
Python of their own, with packages of their own, as on any server: the one in ``.venv-server``, or
the one that GDLA_SERVER_PYTHON names.
"""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVER_PYTHON = "GDLA_SERVER_PYTHON"
HOST = "127.0.0.1"

_START_S = 180.0
_STOP_S = 15.0
_KILLED_S = 60.0
_PAUSE_S = 0.05
_PORTS = 3  # to try
# Below those that systems give to connections: nobody gets one of them while a server is away.
_LISTENED_AT = range(20_000, 32_000)
_LOG_SHOWN = 20_000  # characters of its end
_SHARED_MEMORY = Path("/dev/shm")

_DESCRIBE = """
import json, sys, sysconfig
print(json.dumps([list(sys.version_info[:2]), sysconfig.get_config_var("LIBDIR")]))
"""


class TritonFailed(AssertionError):
    """The server ended, or was not ready in time; the message has the end of its log."""


@dataclass(frozen=True)
class Programs:
    """Where the parts of the server are: in the wheel, and the Python that runs models."""

    wheel: Path
    stub: Path
    libraries: tuple[Path, ...]
    python: Path

    @property
    def server(self) -> Path:
        return self.wheel / "bin" / "tritonserver"


class RunningTriton:
    """A server that is ready. Use it in a ``with`` statement, or call ``stop``."""

    def __init__(
        self, process: subprocess.Popen[bytes], address: str, log: Path, shared_memory: str
    ) -> None:
        self.port = int(address.rpartition(":")[2])
        self.url = f"http://{address}"
        self._process = process
        self._ended = False
        self._log = log
        self._shared_memory = shared_memory

    @property
    def pid(self) -> int:
        return self._process.pid

    def log(self) -> str:
        """Return what the server and its models have printed."""
        return self._log.read_text("utf-8", "replace")

    def kill(self) -> None:
        """End the server and its models at once, as a computer that loses its power does."""
        self._end()

    def stop(self) -> None:
        """End the server in order; nothing happens if it has ended."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                pass
        self._end()

    def wait_until_ready(self) -> None:
        """Return when all models are; raise TritonFailed with the log if that is not to be."""
        deadline = time.monotonic() + _START_S
        while not _is_ready(self.url):
            if self._process.poll() is not None:
                raise TritonFailed(f"tritonserver ended:\n{self.log()[-_LOG_SHOWN:]}")
            if time.monotonic() > deadline:
                log = self.log()[-_LOG_SHOWN:]
                raise TritonFailed(f"tritonserver is not ready after {_START_S} s:\n{log}")
            try:
                self._process.wait(_PAUSE_S)
            except subprocess.TimeoutExpired:
                pass

    def _end(self) -> None:
        if self._ended:
            return  # its number may have been given out again
        # Models are processes of their own, of the server's group.
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait(_KILLED_S)
        self._ended = True
        for region in _SHARED_MEMORY.glob(f"{self._shared_memory}*"):
            region.unlink(missing_ok=True)

    def __enter__(self) -> RunningTriton:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


def start_triton(
    repository: Path,
    tmp: Path,
    port: int | None = None,
    host: str = HOST,
    options: Sequence[str] = (),
) -> RunningTriton:
    """Return a server of the models in ``repository`` that listens at ``host`` and is ready.

    ``options`` are more of its command line.
    ``tmp`` is a folder for its log and its parts; a second server needs another, unless the first
    has ended. ``port`` is any free one if None. The caller stops it. Skips the test where the wheel
    or the models' Python is not installed; raises TritonFailed, with the log, if it does not start.
    """
    if port is not None:
        return _started(repository, tmp, host, port, options)
    for _ in range(_PORTS - 1):
        try:
            return _started(repository, tmp, host, free_port(), options)
        except TritonFailed as error:
            # Between being found free and being used, a port may go to somebody else.
            if "already in use" not in str(error):
                raise
    return _started(repository, tmp, host, free_port(), options)


def _started(
    repository: Path, tmp: Path, host: str, port: int, options: Sequence[str]
) -> RunningTriton:
    programs = find_programs()
    backends = _backends(programs, tmp / "backends")
    server = _executable(programs.server, tmp)
    shared_memory = f"gdla-test-{secrets.token_hex(4)}"
    log = tmp / "tritonserver.log"
    command = [
        str(server),
        f"--model-repository={repository}",
        f"--backend-directory={backends}",
        f"--backend-config=python,shm-region-prefix-name={shared_memory}",
        f"--http-address={host}",
        f"--http-port={port}",
        "--allow-grpc=false",
        "--allow-metrics=false",
        "--exit-timeout-secs=2",
        *options,
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=_environment(programs),
            cwd=tmp,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    triton = RunningTriton(process, f"{host}:{port}", log, shared_memory)
    try:
        triton.wait_until_ready()
    except BaseException:
        triton.stop()
        raise
    return triton


def free_port() -> int:
    """Return a port at which nobody listens at present, and that no connection is given."""
    while True:
        port = secrets.choice(_LISTENED_AT)
        with socket.socket() as listener:
            try:
                listener.bind((HOST, port))
            except OSError:
                continue
        return port


@lru_cache(maxsize=1)
def find_programs() -> Programs:
    """Return where the server's parts are; skip the test if they are not installed.

    In continuous integration, where they must be, it fails instead.
    """
    # Not imported: the package's own __init__ asks for far more than the server does.
    found = importlib.util.find_spec("pytriton")
    if found is None or not found.submodule_search_locations:
        _missing("the wheel nvidia-pytriton, which carries tritonserver, is not installed")
    package = Path(found.submodule_search_locations[0])
    wheel = package / "tritonserver"
    named = os.environ.get(SERVER_PYTHON) or ROOT / ".venv-server" / "bin" / "python"
    python = Path(os.path.abspath(named))  # not resolved: the link is what makes it the environment
    if not python.is_file():
        _missing(f"there is no Python for the server's models at {python}")
    described = subprocess.run(
        [str(python), "-c", _DESCRIBE], capture_output=True, text=True, check=True
    )
    (major, minor), library_folder = json.loads(described.stdout)
    stub = wheel / "python_backend_stubs" / f"{major}.{minor}" / "triton_python_backend_stub"
    if not stub.is_file():
        _missing(f"the wheel's Python backend is not made for Python {major}.{minor}")
    libraries = (package.parent / "nvidia_pytriton.libs", Path(library_folder))
    return Programs(wheel, stub, libraries, python)


def _missing(what: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


def _backends(programs: Programs, folder: Path) -> Path:
    """Return a folder of backends in which the Python backend has the stub of our Python."""
    target = folder / "python"
    if not target.exists():
        shutil.copytree(programs.wheel / "backends" / "python", target)
        stub = target / programs.stub.name
        shutil.copy(programs.stub, stub)
        stub.chmod(0o755)
    return folder


def _executable(program: Path, tmp: Path) -> Path:
    """Return ``program`` if it may be run, else a copy that may."""
    if os.access(program, os.X_OK):
        return program
    copy = tmp / program.name
    if not copy.exists():
        shutil.copy(program, copy)
        copy.chmod(0o755)
    return copy


def _environment(programs: Programs) -> dict[str, str]:
    """Return an environment in which the stub takes the models' Python for its own."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    environment.pop("VIRTUAL_ENV", None)
    environment["PATH"] = f"{programs.python.parent}{os.pathsep}{environment.get('PATH', '')}"
    # Copied away from where they were installed, the parts find their libraries only so.
    environment["LD_LIBRARY_PATH"] = os.pathsep.join(map(str, programs.libraries))
    return environment


def _is_ready(url: str) -> bool:
    # Without the proxies that the environment may name.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/v2/health/ready", timeout=5) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False
