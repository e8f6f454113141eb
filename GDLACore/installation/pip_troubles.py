"""What went wrong when pip was run, in words for users and for those who look after computers.

pip tells the user only that there is "no matching distribution", whatever kept it from looking;
the reason is in its log file.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from GDLACore.errors import InstallationError
from GDLACore.installation.fetch_troubles import fetch_trouble, other_way
from GDLACore.installation.system import this_system

_TIME = re.compile(r"^\S+T\S+ +")
_NOT_FETCHED = re.compile(r"Could not fetch URL (\S+): (.*) - skipping")
_NOT_HAD = re.compile(r"Could not fetch URL|Skipping page")
_NOT_USED = re.compile(r"none of the wheel's tags")
_MOST_NOT_HAD, _MOST_NOT_USED = 20, 3  # an index lists hundreds of wheels for others

_INDEXES = re.compile(r"^Looking in indexes: (.*)", re.MULTILINE)

_SIGNALS = {9: "It was killed: perhaps there is too little memory.", 15: "It was told to end."}


def told_in_log(log: Path) -> list[str]:
    """Return the lines of pip's log file that say what it could not get or use, and why."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:  # it ended before it began to write
        return []
    told = dict.fromkeys(_TIME.sub("", line).strip() for line in text.splitlines())
    not_had = [line for line in told if _NOT_HAD.search(line)]
    not_used = [line for line in told if _NOT_USED.search(line)]
    return [*not_had[-_MOST_NOT_HAD:], *not_used[-_MOST_NOT_USED:]]


def pip_trouble(status: int, lines: Sequence[str]) -> InstallationError:
    """Return the error to show after pip has ended with ``status``, not 0, and printed ``lines``.

    The lines of ``told_in_log`` are among them.
    """
    text = "\n".join(lines)
    if fetched := _NOT_FETCHED.findall(text):
        # Of several indexes, the first is the one that everyone has.
        return fetch_trouble(*fetched[0], _hosts(text))
    for pattern, trouble in _TROUBLES:
        if match := re.search(pattern, text, re.MULTILINE):
            return trouble(match, text)
    if status < 0 or not text:
        reason = _SIGNALS.get(-status, f"It ended with status {status} and said nothing.")
        return InstallationError(f"pip did not finish. {reason}", "Try again.")
    return InstallationError(
        f"pip failed: {_last_error(lines)}", f"{other_way()} Copy the diagnostics for the details."
    )


def _hosts(text: str) -> tuple[str, ...]:
    """Return the hosts that pip needs: those of the indexes it was told to use."""
    listed = _INDEXES.search(text)
    addresses = listed.group(1).split(", ") if listed else ["https://pypi.org/simple"]
    hosts = dict.fromkeys(urlsplit(one).hostname for one in addresses)
    if "pypi.org" in hosts:
        hosts["files.pythonhosted.org"] = None
    return tuple(host for host in hosts if host)


def _last_error(lines: Sequence[str]) -> str:
    """Return what pip said last about the failure, as a sentence."""
    errors = [line for line in lines if re.match(r"\s*(ERROR|error|\w*(\.\w+)*Error):", line)]
    said = (errors or [line for line in lines if line.strip()])[-1].strip()
    return said if said.endswith((".", "!", "?")) else f"{said}."


def _no_pip(match: re.Match[str], text: str) -> InstallationError:
    return InstallationError(
        f"pip is missing: it is not in {match.group(1)}.", "Install 3D Slicer again."
    )


def _other_python(match: re.Match[str], text: str) -> InstallationError:
    mine = ".".join(map(str, sys.version_info[:2]))
    return InstallationError(
        f"The Python to install for is {match.group(1)}, and not {mine} as in this program.",
        "Install 3D Slicer again.",
    )


def _other_checksum(match: re.Match[str], text: str) -> InstallationError:
    return InstallationError(
        "What was downloaded is damaged: its checksum is not that of the package index.",
        f"Try again. {other_way()}",
    )


def _no_wheel(match: re.Match[str], text: str) -> InstallationError:
    name = re.split(r"[/\\]", match.group(1))[-1]
    return InstallationError(
        f"{name} is not a package, or is damaged.",
        f"Try again: it may have been replaced by a message of your network. {other_way()}",
    )


def _refused(match: re.Match[str], text: str) -> InstallationError:
    return fetch_trouble(match.group(2), f"{match.group(1)} Client Error", _hosts(text))


def _full(match: re.Match[str], text: str) -> InstallationError:
    return InstallationError("The disk is full.", "Free some space and try again.")


def _too_large(match: re.Match[str], text: str) -> InstallationError:
    return InstallationError(
        "The files are too large for the file system, or for a limit of your account.",
        "Choose another disk, or ask those who look after your computer.",
    )


def _no_permission(match: re.Match[str], text: str) -> InstallationError:
    return InstallationError(
        f"A file cannot be written: {match.group(1).strip()}.",
        "Choose a folder you may write to. A program against viruses may be in the way, too.",
    )


def _long_path(match: re.Match[str], text: str) -> InstallationError:
    return InstallationError(
        "The folder's name is too long for Windows.",
        "Choose a folder with a shorter name, or let those who look after your computer allow "
        "long paths.",
    )


def _insecure(match: re.Match[str], text: str) -> InstallationError:
    return InstallationError(
        f"pip is told to look for packages at {match.group(1)}, whose connection is not secure.",
        "Let those who look after your computer correct pip's configuration.",
    )


def _no_index(match: re.Match[str], text: str) -> InstallationError:
    hosts = " and ".join(_hosts(text))
    return InstallationError(
        f"What answers at {hosts} is not a package index.",
        f"Perhaps your network wants you to log in first: open a web page. {other_way()}",
    )


def _cut(match: re.Match[str], text: str) -> InstallationError:
    return InstallationError(
        "The connection was lost during the download.", f"Try again. {other_way()}"
    )


def _nothing_fits(match: re.Match[str], text: str) -> InstallationError:
    wanted, hosts = match.group(1), " and ".join(_hosts(text))
    needed = this_system().words
    if re.search(r"none of the wheel's tags|require a different python version", text):
        return InstallationError(
            f"{hosts} has no {wanted} for {needed}.",
            "Update 3D Slicer, or install from a folder of wheels.",
        )
    return InstallationError(
        f"{hosts} has no {wanted} at all.",
        f"Perhaps your network wants you to log in first: open a web page. {other_way()}",
    )


# The first that fits counts. Messages of the system are known by their numbers: Windows speaks the
# user's language.
_TROUBLES: tuple[tuple[str, Callable[[re.Match[str], str], InstallationError]], ...] = (
    (r"^GDLA: there is no pip in (.*)", _no_pip),
    (r"^GDLA: this is Python (.*)", _other_python),
    (r"DO NOT MATCH THE HASHES", _other_checksum),
    (r"Wheel '.*' located at (.*) is invalid", _no_wheel),
    (r"HTTP error (\d+) while getting (\S+)", _refused),
    (r"\[Errno (?:28|122)\]|\[WinError (?:112|39)\]", _full),
    (r"\[Errno 27\]", _too_large),
    (r"Windows Long Path", _long_path),
    (r"(\[Errno (?:1|13|30)\].*|\[WinError (?:5|19|32)\].*)", _no_permission),
    (r"repository located at (\S+) is not a trusted or secure host", _insecure),
    (r"Skipping page|parse_links", _no_index),
    (r"incomplete-download|IncompleteRead|ReadTimeoutError|ConnectionResetError", _cut),
    (r"No matching distribution found for ([\w.-]+)", _nothing_fits),
)
