"""A model file on a server, and what must be known of it before it may be fetched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from GDLACore.errors import DownloadError
from GDLACore.model.catalogue import CatalogueEntry
from GDLACore.storage.model import MODEL_SUFFIXES


@dataclass(frozen=True)
class RemoteFile:
    """A file to fetch from ``url`` and to keep as ``name``.

    ``sha256`` is in lower-case hexadecimal digits. ``size`` is in bytes; None leaves it to the
    server to say.
    """

    name: str
    url: str
    sha256: str
    size: int | None = None


def remote_file(entry: CatalogueEntry) -> RemoteFile:
    """Return where the file of ``entry`` can be fetched.

    It is kept under the model's name: what authors call their files is alike for all their models.

    Raises DownloadError if no address, no checksum or no kind of model file is known.
    """
    if entry.url is None:
        raise DownloadError(
            f"No address is known from which {entry.name} could be downloaded.",
            f"Get it from {entry.card.provenance.source} and import the file.",
        )
    if entry.sha256 is None:
        raise DownloadError(
            f"No checksum is known for {entry.url}, so it is not downloaded.",
            f"Get it from {entry.card.provenance.source} and import the file.",
        )
    file = PurePosixPath(entry.file or unquote(urlsplit(entry.url).path))
    if file.suffix.lower() not in MODEL_SUFFIXES:
        raise DownloadError(
            f"{entry.url} does not end like a model file.",
            f"Get the model from {entry.card.provenance.source} and import the file.",
        )
    return RemoteFile(entry.name + file.suffix.lower(), entry.url, entry.sha256)
