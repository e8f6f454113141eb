"""Fetching a model file: into ``NAME.part``, and into its place when it is whole and right."""

from __future__ import annotations

import http.client
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from GDLACore.errors import Cancelled, DownloadError, GDLAError, ModelFileError
from GDLACore.storage.checking import file_sha256
from GDLACore.storage.checks import remember
from GDLACore.storage.connection import answer
from GDLACore.storage.control import Control
from GDLACore.storage.folder import ensure_folder, folder_hint
from GDLACore.storage.part import PartFile, locked_part
from GDLACore.storage.remote import RemoteFile
from GDLACore.storage.troubles import Interruption, cut, network_troubles, other_way, refused

_CHUNK = 1 << 18
_SPARE = 64 << 20  # bytes to leave free on the disk
_LARGEST = 8 << 30  # bytes to take from a server that does not say how many it has
_PROGRESS = 1 << 20  # bytes that show that a poor connection is worth more attempts

_WEB_PAGE = re.compile(rb"\s*(<!doctype html|<html|<head|<\?xml)", re.IGNORECASE)
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_WHOLE_RANGE = re.compile(r"bytes \*/(\d+)")


@dataclass(frozen=True)
class Patience:
    """Seconds to wait for a connection, for more data, for another download of the same file, and
    between attempts after a loss of the connection.
    """

    connect: float = 10.0
    stall: float = 30.0
    other: float = 15.0
    attempts: tuple[float, ...] = (1.0, 3.0, 10.0)


_PATIENCE = Patience()


def download(
    remote: RemoteFile,
    folder: Path,
    control: Control | None = None,
    patience: Patience = _PATIENCE,
) -> Path:
    """Fetch ``remote`` into ``folder`` and return its path; a file that is right is not fetched.

    What is left of a download that was cancelled or cut is continued. The file appears under its
    name only when size and SHA-256 are right.

    Raises DownloadError, which leaves any older file as it was; Cancelled.
    """
    control = control or Control()
    target = folder / remote.name
    with _storage_troubles(remote, folder):
        ensure_folder(folder)
        if not _is_here(target, remote, control):
            with locked_part(remote, target, control, patience.other) as part:
                # Whoever was waited for has brought it.
                if not _is_here(target, remote, control):
                    _fetch(part, remote, folder, control, patience)
                    part.become_target(control)
        remember(target)
    return target


@contextmanager
def _storage_troubles(remote: RemoteFile, folder: Path) -> Iterator[None]:
    """Turn the exceptions of the file system into DownloadError."""
    try:
        yield
    except (DownloadError, Cancelled):
        raise
    except GDLAError as error:
        raise DownloadError(error.message, error.hint) from error
    except OSError as error:
        raise DownloadError(
            f"{remote.url} cannot be stored in {folder}: {error.strerror or error}.",
            f"Free some space there if the disk is full. {folder_hint()}",
        ) from error


def _is_here(target: Path, remote: RemoteFile, control: Control) -> bool:
    try:
        return target.is_file() and file_sha256(target, control) == remote.sha256
    except ModelFileError:  # empty or not readable: to be replaced
        return False


def _fetch(
    part: PartFile, remote: RemoteFile, folder: Path, control: Control, patience: Patience
) -> None:
    """Fill ``part`` until its checksum is right."""
    part.resume(control)
    if part.size:
        _complete(part, remote, folder, control, patience)
        if part.sha256() == remote.sha256:
            return
        part.restart(None)  # the beginning may have been another version, or damaged since
    _complete(part, remote, folder, control, patience)
    if part.sha256() != remote.sha256:
        found = part.sha256()
        part.restart(None)
        raise DownloadError(
            f"{remote.url} does not give the file that was published: its SHA-256 is {found}, not "
            f"{remote.sha256}.",
            "Somebody may have changed it. Look for a newer version of this program, or ask the "
            "model's authors.",
        )


def _complete(
    part: PartFile, remote: RemoteFile, folder: Path, control: Control, patience: Patience
) -> None:
    """Append to ``part`` what it lacks, in as many attempts as make progress."""
    attempts, worth = iter(patience.attempts), part.size + _PROGRESS
    while part.size != remote.size:
        try:
            _append(part, remote, folder, control, patience)
        except Interruption:
            if part.size >= worth:
                attempts, worth = iter(patience.attempts), part.size + _PROGRESS
            pause = next(attempts, None)
            if pause is None:
                raise
            control.wait(pause)
        else:
            return


def _append(
    part: PartFile, remote: RemoteFile, folder: Path, control: Control, patience: Patience
) -> None:
    control.report("connecting", part.size, remote.size)
    headers = {"Range": f"bytes={part.size}-"} if part.size else {}
    if part.size and part.validator:
        headers["If-Range"] = part.validator
    with answer(remote, headers, control, patience.connect, patience.stall) as response:
        if response.status == 416 and part.size:
            whole = _WHOLE_RANGE.match(response.headers.get("Content-Range", ""))
            if whole and int(whole.group(1)) == part.size:
                return
            part.restart(None)
            raise cut(remote, "the server has less of it than is here already")
        total = _prepare(part, response, remote)
        _check_size(total, remote)
        _check_space(folder, (total or remote.size or 0) - part.size, remote)
        _read(part, response, total or remote.size, remote, control)


def _prepare(part: PartFile, response: http.client.HTTPResponse, remote: RemoteFile) -> int | None:
    """Make ``part`` ready for the answer; return the size of the whole file, None if not told."""
    if response.status == 206:
        place = _RANGE.match(response.headers.get("Content-Range", ""))
        if place is None or int(place.group(1)) != part.size:
            part.restart(None)
            raise cut(remote, "the server sent another part of the file")
        return None if place.group(2) == "*" else int(place.group(2))
    if response.status != 200:
        raise refused(response.status, remote)
    if response.headers.get_content_type() == "text/html":
        raise _web_page(remote)
    part.restart(_validator(response))
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _validator(response: http.client.HTTPResponse) -> str | None:
    """Return what If-Range may hold later: a weak tag does not mean the same bytes."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _check_size(total: int | None, remote: RemoteFile) -> None:
    if None not in (total, remote.size) and total != remote.size:
        raise DownloadError(
            f"{remote.url} has {total} bytes instead of the {remote.size} that were published.",
            "It is another file. Look for a newer version of this program, or ask the model's "
            "authors.",
        )


def _check_space(folder: Path, needed: int, remote: RemoteFile) -> None:
    free = shutil.disk_usage(folder).free
    if needed + _SPARE > free:
        raise DownloadError(
            f"{remote.url} needs {(needed + _SPARE) / 1e6:.0f} MB of space in {folder}, where "
            f"{free / 1e6:.0f} MB are free.",
            f"Free some space there. {folder_hint()}",
        )


def _read(
    part: PartFile,
    response: http.client.HTTPResponse,
    total: int | None,
    remote: RemoteFile,
    control: Control,
) -> None:
    most = total or _LARGEST
    while True:
        with network_troubles(remote):
            chunk = response.read1(_CHUNK)
        if not chunk:
            control.check()  # a cancellation looks like the end of a file of unknown length
            break
        if not part.size and _WEB_PAGE.match(chunk):
            raise _web_page(remote)
        if part.size + len(chunk) > most:
            part.restart(None)
            raise DownloadError(
                f"{remote.url} gives more than the {most} bytes that it should have.",
                other_way(remote),
            )
        part.write(chunk)
        control.report("downloading", part.size, total)
    if total is not None and part.size < total:
        raise cut(remote, f"it ended after {part.size / 1e6:.1f} of {total / 1e6:.1f} MB")


def _web_page(remote: RemoteFile) -> DownloadError:
    return DownloadError(
        f"Instead of the model, {remote.url} gives a web page, such as those with which networks "
        f"ask for a login or block an address.",
        f"Open the address in a browser to see it. {other_way(remote)}",
    )
