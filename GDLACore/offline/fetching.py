"""Getting the wheels for another computer with pip, where there is a network."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from GDLACore.errors import DownloadError
from GDLACore.installation.builds import Build
from GDLACore.offline.platforms import Platform, requirement


def pip_download(
    build: Build, platform: Platform, python: tuple[int, int], folder: str
) -> list[str]:
    """Return the arguments with which pip fetches ``build``, and what it needs, into ``folder``."""
    tags = [word for tag in platform.tags for word in ("--platform", tag)]
    return [
        "download",
        "--only-binary=:all:",
        "--implementation=cp",
        f"--python-version={'.'.join(map(str, python))}",
        *tags,
        "--dest",
        folder,
        requirement(build),
    ]


def fetch_wheels(
    build: Build,
    platform: Platform,
    python: tuple[int, int],
    folder: Path,
    *,
    pip: Sequence[str] = (sys.executable, "-m", "pip"),
) -> None:
    """Let pip fetch the wheels of ``build`` into ``folder``, from where it is set up to look.

    Raises DownloadError if it is not installed, or finds no network or no such wheel.
    """
    arguments = pip_download(build, platform, python, str(folder))
    try:
        result = subprocess.run(
            [*pip, *arguments, "--disable-pip-version-check", "--no-input", "--quiet"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise DownloadError(f"pip cannot be run: {error.strerror or error}.", _BY_HAND) from error
    if result.returncode:
        lines = [line.strip() for line in result.stderr.splitlines() if "ERROR" in line]
        reason = (lines or result.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise DownloadError(
            f"pip could not fetch {build.package} for {platform.title}: "
            f"{reason.removeprefix('ERROR: ').rstrip('.')}.",
            _BY_HAND,
        )


_BY_HAND = (
    "Run this on a computer that reaches a package index, or collect the wheels in a folder and "
    "name it with --wheels."
)
