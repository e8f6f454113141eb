"""Names for patients that tell who is the same, and nothing else to whoever lacks the secret."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

import numpy as np

from GDLACore.atomic import unwritable
from GDLACore.errors import OutputError

_BYTES = 32
_DIGITS = 16
_BINARY = getattr(os, "O_BINARY", 0)  # else Windows turns line feeds into two bytes


def pseudonym(secret: bytes, identity: str) -> str:
    """Return 16 hexadecimal digits for ``identity``: HMAC-SHA256, always the same for a secret."""
    return hmac.new(secret, identity.encode(), hashlib.sha256).hexdigest()[:_DIGITS]


def patient_identity(patient_id: str, voxels: np.ndarray) -> str:
    """Return what is to be the same for images of one patient.

    That is the DICOM patient ID, and where it is empty the image itself: an image that is added
    twice must not be learnt from and judged by.
    """
    if patient_id.strip():
        return f"patient {patient_id.strip()}"
    digest = hashlib.sha256(repr((voxels.shape, voxels.dtype.str)).encode())
    digest.update(memoryview(np.ascontiguousarray(voxels)).cast("B"))
    return f"image {digest.hexdigest()}"


def read_secret(path: Path) -> bytes:
    """Return this user's secret in the file ``path``, which is made if it does not exist.

    Raises OutputError if that is not possible, or if the file is not one of ours.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            _make(path)
        secret = path.read_bytes()
    except OSError as error:
        raise unwritable(path, error) from error
    if len(secret) != _BYTES:
        raise OutputError(
            f"{path}, the secret behind the names of patients, is damaged.",
            "Restore it, or remove it: patients will then get new names.",
        )
    return secret


def _make(path: Path) -> None:
    """Make the file, for the user's eyes only. Raises FileExistsError if it is there."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | _BINARY, 0o600)
    with open(descriptor, "wb") as file:
        file.write(secrets.token_bytes(_BYTES))
