"""Running pip, in a process of its own, with a folder as its target."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from GDLACore.installation.control import Control
from GDLACore.installation.events import Line, Step
from GDLACore.installation.pip_troubles import pip_trouble, told_in_log
from GDLACore.installation.python import Python

_PROGRAM = Path(__file__).resolve().with_name("pip_program.py")

# Only wheels, which are unpacked and not run; no second copy of them in a cache that stays.
_INSTALL = (
    "install",
    "--only-binary=:all:",
    "--no-cache-dir",
    "--no-compile",
    "--no-warn-conflicts",
    "--no-color",
)

# How to reach the packages is for the user and the administrator to say, in the environment or in
# pip's configuration; what is installed, and where to, is not.
_CONNECTION = (
    "CERT",
    "CLIENT_CERT",
    "CONFIG_FILE",
    "DEFAULT_TIMEOUT",
    "EXTRA_INDEX_URL",
    "FIND_LINKS",
    "INDEX_URL",
    "KEYRING_PROVIDER",
    "NO_INDEX",
    "PROXY",
    "RESUME_RETRIES",
    "RETRIES",
    "TIMEOUT",
    "TRUSTED_HOST",
    "USE_DEPRECATED",
    "USE_FEATURE",
)
_SETTINGS = {
    # They win over a configuration file. Each would make pip refuse, or do nothing.
    "PIP_DRY_RUN": "0",
    "PIP_QUIET": "0",
    "PIP_REQUIRE_HASHES": "0",
    "PIP_REQUIRE_VIRTUALENV": "0",
    "PIP_USER": "0",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
    "PYTHONDONTWRITEBYTECODE": "1",  # pip lies among Slicer's own files
    "PYTHONNOUSERSITE": "1",
    "PYTHONUNBUFFERED": "1",
    "PYTHONUTF8": "1",
}

_DOWNLOADING = re.compile(r"\s*Downloading (\S+)")
_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_FILE = re.compile(r".*/")
_NAME_AND_VERSION = re.compile(r"([^-]+)-([^-]+)-.*\.whl")


class Pip:
    """pip of ``python``, with all its files in ``folder``.

    ``folder`` exists, and what pip leaves there is no loss.
    """

    def __init__(self, python: Python, folder: Path, control: Control) -> None:
        self._python = python
        self._folder = folder
        self._control = control

    def install(self, target: Path, wanted: Sequence[str]) -> None:
        """Install ``wanted`` into ``target``, from where pip is set up to look for packages.

        ``wanted`` are requirements and options. Raises InstallationError, Cancelled.
        """
        given = {
            name: value
            for name, value in self._python.environment.items()
            if not name.upper().startswith("PIP_") or name.upper()[4:] in _CONNECTION
        }
        self._install(target, wanted, given)

    def install_files(self, target: Path, wanted: Sequence[str]) -> None:
        """Install ``wanted``, the paths of wheels and options, into ``target`` without a network.

        Raises InstallationError, Cancelled.
        """
        given = {
            name: value
            for name, value in self._python.environment.items()
            if not name.upper().startswith("PIP_")
        }
        self._install(target, ["--no-index", *wanted], {**given, "PIP_CONFIG_FILE": os.devnull})

    def _install(self, target: Path, wanted: Sequence[str], environment: dict[str, str]) -> None:
        temporary, log = self._folder / "t", self._folder / "log"
        temporary.mkdir(exist_ok=True)
        log.unlink(missing_ok=True)
        lines: list[str] = []
        version = "{}.{}".format(*sys.version_info)
        options = [*_INSTALL, "--log", str(log), "--target", str(target)]
        status = self._control.run(
            [*self._python.command, str(_PROGRAM), version, *options, *wanted],
            cwd=temporary,
            env={
                **environment,
                **_SETTINGS,
                # On the same disk as the target: one that has room, and moving costs nothing.
                **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary)),
            },
            hear=_Listener(self._control, lines.append).hear,
        )
        if status:
            told = told_in_log(log)
            for line in told:
                self._control.note(line)
            raise pip_trouble(status, [*lines, *told])


class _Listener:
    """Makes events of what pip prints."""

    def __init__(self, control: Control, keep: Callable[[str], None]) -> None:
        self._control = control
        self._keep = keep
        self._file = ""

    def hear(self, line: str) -> None:
        if match := _PROGRESS.fullmatch(line):
            done, total = map(int, match.groups())
            self._control.tell(Step("downloading", self._file, done, total))
            return
        self._keep(line)
        self._control.note(line)
        self._control.tell(Line(line))
        if match := _DOWNLOADING.match(line):
            self._file = _in_words(match.group(1))
            self._control.tell(Step("downloading", self._file))
        elif line.startswith("Collecting "):
            self._control.tell(Step("asking", line.split()[1]))
        elif line.lstrip().startswith("WARNING: Retrying"):
            self._control.tell(Step("waiting"))
        elif line.startswith(("Processing ", "Installing collected")):
            self._control.tell(Step("unpacking"))


def _in_words(address: str) -> str:
    """Return ".../onnxruntime-1.32.0-cp312-cp312-win_amd64.whl" as "onnxruntime 1.32.0"."""
    name = _FILE.sub("", address)
    match = _NAME_AND_VERSION.fullmatch(name)
    return f"{match.group(1)} {match.group(2)}" if match else name
